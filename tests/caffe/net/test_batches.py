"""Any number of items through a batch of four: nothing added, nothing lost."""

import numpy as np
import pytest

import caffe

BATCH = 4
NET = f"""
layer {{ name: 'in' type: 'Input' top: 'x' top: 'y'
        input_param {{ shape {{ dim: {BATCH} dim: 3 }} shape {{ dim: {BATCH} dim: 3 }} }} }}
layer {{ name: 'sum' type: 'Eltwise' bottom: 'x' bottom: 'y' top: 'sum'
        eltwise_param {{ coeff: 1 coeff: 2 }} }}
"""
LOSS = "layer { name: 'loss' type: 'EuclideanLoss' bottom: 'x' bottom: 'y' top: 'loss' }"


def build(tmp_path, text=NET):
    path = tmp_path / "net.prototxt"
    path.write_text("force_backward: true\n" + text)
    return caffe.Net(str(path), caffe.TEST)


def arrays(items):
    draw = np.random.default_rng(items)
    return [draw.standard_normal((items, 3)).astype(np.float32) for _ in range(2)]


@pytest.mark.parametrize("items", [1, 3, 4, 5, 8, 9])
def test_every_item_has_its_row(tmp_path, items):
    net = build(tmp_path)
    x, y = arrays(items)
    out = net.forward_all(x=x, y=y)
    assert list(out) == ["sum"]
    np.testing.assert_allclose(out["sum"], x + 2 * y, rtol=1e-6)


def test_results_outlive_the_next_batch(tmp_path):
    net = build(tmp_path)
    x, y = arrays(8)
    first = net.forward_all(x=x, y=y)["sum"]
    kept = first.copy()
    net.forward_all(x=0 * x, y=0 * y)
    assert np.array_equal(first, kept)


def test_other_blobs_can_be_asked_for(tmp_path):
    x, y = arrays(6)
    out = build(tmp_path).forward_all(blobs=["y"], x=x, y=y)
    assert set(out) == {"sum", "y"} and np.array_equal(out["y"], y)


def test_lists_of_arrays_are_taken(tmp_path):
    x, y = arrays(5)
    out = build(tmp_path).forward_all(x=list(x), y=list(y))
    np.testing.assert_allclose(out["sum"], x + 2 * y, rtol=1e-6)


def test_no_items_are_no_rows(tmp_path):
    assert build(tmp_path).forward_all(x=np.zeros((0, 3)), y=np.zeros((0, 3))) == {}


def test_nothing_given_is_an_error(tmp_path):
    with pytest.raises(caffe.Error, match="arrays for the net's inputs are needed"):
        build(tmp_path).forward_all()


def test_a_loss_has_one_value_a_batch(tmp_path):
    net = build(tmp_path, NET.split("layer { name: 'sum'")[0] + LOSS)
    x, y = arrays(8)
    out = net.forward_all(x=x, y=y)["loss"]
    halves = [((x[i : i + 4] - y[i : i + 4]) ** 2).sum() / 8 for i in (0, 4)]
    np.testing.assert_allclose(out, halves, rtol=1e-5)


@pytest.mark.parametrize("items", [3, 4, 7])
def test_gradients_of_every_item(tmp_path, items):
    net = build(tmp_path)
    x, y = arrays(items)
    gradient = arrays(items)[0] + 1
    outs, grads = net.forward_backward_all(x=x, y=y, sum=gradient)
    np.testing.assert_allclose(outs["sum"], x + 2 * y, rtol=1e-6)
    np.testing.assert_allclose(grads["x"], gradient, rtol=1e-6)
    np.testing.assert_allclose(grads["y"], 2 * gradient, rtol=1e-6)


def test_without_gradients_of_outputs_those_there_count(tmp_path):
    net = build(tmp_path)
    net.blobs["sum"].diff[...] = 1
    x, y = arrays(BATCH)
    _, grads = net.forward_backward_all(x=x, y=y)
    assert (grads["x"] == 1).all() and (grads["y"] == 2).all()
