"""The permutohedral lattice: its filter against exact Gaussian weights, and its transpose."""

import numpy as np
import pytest
import torch

from caffe.layer.extensions._permutohedral import Lattice


def exact(features, values):
    weights = np.exp(-((features[:, None] - features[None]) ** 2).sum(-1) / 2)
    return weights @ values / weights.sum(1, keepdims=True)


@pytest.mark.parametrize("d", [1, 2, 3, 5])
def test_means_are_near_those_of_exact_weights(d):
    rng = np.random.default_rng(d)
    features = rng.uniform(0, 3, (700, d)).astype(np.float32)
    values = features[:, :1] + 0.2 * rng.standard_normal((700, 2)).astype(np.float32)
    lattice = Lattice(torch.from_numpy(features))
    found = (lattice.filter(torch.from_numpy(values)) * lattice.inverse_norm()).numpy()
    expected = exact(features.astype(float), values)
    spread = np.abs(expected - values.mean(0)).mean()
    assert np.abs(found - expected).mean() < 0.2 * spread
    assert lattice.size < 700 * (d + 1)


def test_one_point_keeps_its_value():
    lattice = Lattice(torch.tensor([[0.3, -2.0]]))
    value = torch.tensor([[4.0, -1.0]])
    assert torch.allclose(lattice.filter(value) * lattice.inverse_norm(), value)


def test_far_points_do_not_see_each_other():
    lattice = Lattice(torch.tensor([[0.0, 0.0], [50.0, 50.0], [50.0, 50.0]]))
    values = torch.tensor([[1.0], [2.0], [4.0]])
    means = lattice.filter(values) * lattice.inverse_norm()
    assert torch.allclose(means, torch.tensor([[1.0], [3.0], [3.0]]))


def test_weights_within_a_simplex_sum_to_one_and_give_the_point_back():
    features = torch.from_numpy(np.random.default_rng(0).normal(0, 9, (200, 4)).astype(np.float32))
    lattice = Lattice(features)
    assert (lattice.weights > -1e-4).all()
    assert torch.allclose(lattice.weights.sum(1), torch.ones(200), atol=1e-4)


def test_the_transposed_filter():
    features = torch.from_numpy(np.random.default_rng(0).uniform(0, 4, (60, 3)).astype(np.float32))
    lattice = Lattice(features)
    matrix, transposed = lattice.filter(torch.eye(60)), lattice.filter(torch.eye(60), True)
    assert torch.allclose(matrix.t(), transposed, atol=1e-6)
    assert not torch.allclose(matrix, transposed, atol=1e-4), "the order of the blurs matters"


def test_features_without_a_place():
    with pytest.raises(ValueError, match="finite"):
        Lattice(torch.tensor([[0.0, float("inf")]]))
    with pytest.raises(ValueError, match="too far apart"):
        Lattice(torch.tensor([[0.0] * 5, [1e6] * 5]))
