"""Embed."""

import numpy as np
import pytest
from harness import Rig, close, random

from caffe.errors import LayerError, ShapeError


def embed(body: str = "", shape=(3,), **options) -> Rig:
    text = f"num_output: 2 input_dim: 4 {body}"
    rig = Rig(f'type: "Embed" embed_param {{ {text} }}', shape, **options)
    for i, blob in enumerate(rig.layer.blobs):
        blob.data[...] = random(*blob.dims, seed=10 + i)
    return rig


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(), (3,), (2, 1, 3)])
def test_rows_and_their_gradients(device, bias, shape):
    rig = embed("" if bias else "bias_term: false", shape)
    weights = rig.layer.blobs[0].data
    index = np.random.default_rng(0).integers(0, 4, shape)
    y = weights[index] + (rig.layer.blobs[1].data if bias else 0)
    close(rig.forward(index), y)
    g = random(*shape, 2)
    rig.backward(g, bottoms=[False])
    rig.backward(g, bottoms=[False])  # parameters' gradients add up
    expected = np.zeros_like(weights)
    np.add.at(expected, index, 2 * g)
    close(rig.layer.blobs[0].diff, expected)
    if bias:
        close(rig.layer.blobs[1].diff, 2 * g.reshape(-1, 2).sum(0))


def test_only_what_is_needed_is_computed():
    rig = embed()
    rig.forward(np.zeros(3))
    rig.backward(1.0, bottoms=[False], params=[False, True])
    assert not rig.layer.blobs[0].diff.any() and rig.layer.blobs[1].diff.all()


def test_fractions_are_cut_toward_zero():
    rig = embed("bias_term: false")
    weights = rig.layer.blobs[0].data
    close(rig.forward(np.array([-0.9, 1.7, 3.99])), weights[[0, 1, 3]])


@pytest.mark.parametrize("bad", [-1, 4, np.nan, np.inf, 1e20])
def test_an_index_outside_the_table_is_refused(device, bad):
    """BVLC reads foreign memory."""
    rig = embed(shape=(2, 2))
    kept = rig.forward(np.array([[0, 1], [2, 3]]))
    message = r"layer 'layer' .*an index must be in \[0, 4\), got .* at position \(1, 0\)"
    with pytest.raises(ShapeError, match=message):
        rig.forward(np.array([[0, 1], [bad, bad]]))
    np.testing.assert_array_equal(rig.top[0].data, kept)


def test_indices_have_no_gradient():
    rig = embed()
    rig.forward(np.zeros(3))
    with pytest.raises(LayerError, match="cannot propagate down to its indices"):
        rig.backward(1.0)


def test_bad_settings_are_refused():
    for given, missing in (("input_dim: 3", "num_output"), ("num_output: 3", "input_dim")):
        with pytest.raises(LayerError, match=f"needs {missing}"):
            Rig(f'type: "Embed" embed_param {{ {given} }}', (3,))
    with pytest.raises(LayerError, match="in place"):
        embed(in_place=True)
