"""Net as pycaffe's: properties, forward and backward in part and whole, weights, callbacks."""

import numpy as np
import pytest
from small_net import LOSS, SMALL, random

import caffe
from caffe.errors import (
    DataError,
    LayerError,
    PrototxtError,
    ShapeError,
    WeightsError,
)


def test_properties(make_net):
    net = make_net()
    assert list(net.blobs) == ["data", "conv", "pool", "ip"]
    assert list(net.params) == ["conv", "ip"]
    assert net.inputs == ["data"] and net.outputs == ["ip"]
    assert list(net._layer_names) == ["in", "conv", "relu", "pool", "ip"]
    assert net.top_names["conv"] == ["conv"] and net.bottom_names["pool"] == ["conv"]
    assert [layer.type for layer in net.layers][:2] == ["Input", "Convolution"]
    assert net.layer_dict["ip"].blobs[0].data.shape == (2, 4 * 3 * 3)
    assert net.blob_loss_weights["ip"] == 0
    assert net.blobs is net.blobs and net.name == "small"
    assert net._blobs[net._inputs[0]] is net.blobs["data"]


def test_wrong_feeding_is_one_clear_error(make_net):
    net = make_net()
    with pytest.raises(DataError, match="expected data; received dat"):
        net.forward(dat=random((2, 3, 6, 5)))
    with pytest.raises(DataError, match="not batch sized"):
        net.forward(data=random((1, 3, 6, 5)))
    with pytest.raises(ValueError, match="no layer named 'x'"):
        net.forward(end="x")
    with pytest.raises(KeyError, match="no blob named 'x'"):
        net.forward(blobs=["x"])


def test_arrays_kept_across_passes(make_net, device):
    net = make_net()
    data, weight = net.blobs["data"].data, net.params["ip"][0].data
    for seed in (1, 2):
        data[...] = random(data.shape, seed)
        weight[...] = seed
        net.forward()
        pool = net.blobs["pool"].data.reshape(2, -1)
        want = seed * pool.sum(1)
        assert np.allclose(net.blobs["ip"].data[:, 0], want, rtol=1e-4)


def test_the_device_gives_the_cpus_numbers(make_net):
    from caffe import device

    results = []
    for mode in (device.set_mode_cpu, device.set_mode_mirror):
        mode()
        caffe.set_random_seed(3)
        net = make_net()
        net.forward(data=random((2, 3, 6, 5)))
        net.backward(ip=random((2, 2), 1))
        results.append(
            [
                net.blobs["ip"].data.copy(),
                net.blobs["data"].diff.copy(),
                *(b.diff.copy() for p in net.params.values() for b in p),
            ]
        )
    for a, b in zip(*results):
        assert np.array_equal(a, b)


def test_reshape(make_net, device):
    net = make_net()
    net.blobs["data"].reshape(1, 3, 6, 5)
    assert list(net.blobs["conv"].shape) == [2, 4, 6, 5]
    net.reshape()
    assert list(net.blobs["conv"].shape) == [1, 4, 6, 5]
    net.blobs["data"].reshape(1, 3, 8, 8)
    with pytest.raises(ShapeError, match="'ip'"):
        net.forward()
    net.blobs["data"].reshape(1, 3, 6, 5)
    net.forward()


def test_save_and_copy_from(make_net, device, tmp_path):
    net = make_net()
    x = random((2, 3, 6, 5))
    want = net.forward(data=x)["ip"].copy()
    net.save(str(tmp_path / "w.caffemodel"))
    other = make_net(weights=str(tmp_path / "w.caffemodel"))
    assert np.array_equal(other.forward(data=x)["ip"], want)
    caffe.Net(str(tmp_path / "net.prototxt"), str(tmp_path / "w.caffemodel"), caffe.TEST)


def test_hdf5_weights_round_trip(make_net, device, tmp_path):
    pytest.importorskip("h5py", reason="HDF5 files need h5py")
    net = make_net()
    net.save_hdf5(str(tmp_path / "w.caffemodel.h5"))
    other = make_net()
    other.load_hdf5(str(tmp_path / "w.caffemodel.h5"))
    for name, blobs in net.params.items():
        for a, b in zip(blobs, other.params[name]):
            assert np.array_equal(a.data, b.data)


def test_copy_from_changes_nothing_when_anything_is_wrong(make_net, tmp_path):
    make_net().save(str(tmp_path / "w.caffemodel"))
    net = make_net(SMALL.replace("num_output: 2", "num_output: 3"))
    before = net.params["conv"][0].data.copy()
    with pytest.raises(WeightsError, match="'ip'.*shape mismatch.*2 36 .*3 36.*rename the layer"):
        net.copy_from(str(tmp_path / "w.caffemodel"))
    assert np.array_equal(net.params["conv"][0].data, before)
    with pytest.raises(WeightsError, match=r"missing\.caffemodel"):
        net.copy_from(str(tmp_path / "missing.caffemodel"))


def test_share_with_shares_data_not_diffs(make_net, device):
    a, b = make_net(), make_net()
    b.share_with(a)
    a.params["conv"][0].data[...] = 7
    a.params["conv"][0].diff[...] = 1
    assert (b.params["conv"][0].data == 7).all() and (b.params["conv"][0].diff == 0).all()


SHARED = """
layer { name: "in" type: "Input" top: "a" input_param { shape { dim: 1 dim: 2 } } }
layer { name: "p" type: "InnerProduct" bottom: "a" top: "p" param { name: "w" }
  inner_product_param { num_output: 2 bias_term: false weight_filler { type: "xavier" } } }
layer { name: "q" type: "InnerProduct" bottom: "p" top: "q" param { name: "w" }
  inner_product_param { num_output: 2 bias_term: false weight_filler { type: "xavier" } } }
"""


def test_named_parameters_are_one(make_net, device):
    net = make_net("force_backward: true " + SHARED)
    net.params["p"][0].data[...] = 3
    assert (net.params["q"][0].data == 3).all()
    assert len(net.learnable_params) == 1
    net.forward(a=np.ones((1, 2), np.float32))
    net.backward(q=np.ones((1, 2), np.float32))
    # q: outer(1, p) = 6 everywhere; p: outer(W'1, a) = 6 everywhere; both add into one diff
    assert (net.params["p"][0].diff == 12).all()


def test_shared_parameters_must_fit(make_net):
    with pytest.raises(ShapeError, match=r"'w'.*'p'.*'q'.*shape mismatch"):
        make_net(
            SHARED.replace(
                'num_output: 2 bias_term: false weight_filler { type: "xavier" } } }\n'
                'layer { name: "q"',
                'num_output: 3 bias_term: false weight_filler { type: "xavier" } } }\n'
                'layer { name: "q"',
            )
        )


@pytest.mark.parametrize(
    ("text", "error", "match"),
    [
        ("layer { name: 'x' type: 'Convolutoin' }", LayerError, "Unknown layer type.*Convolution"),
        (SMALL.replace('bottom: "pool"', 'bottom: "poool"'), PrototxtError, "Unknown bottom.*pool"),
        (
            SMALL.replace('top: "pool"', 'top: "data"').replace('bottom: "pool"', 'bottom: "data"'),
            PrototxtError,
            "multiple sources",
        ),
        (SMALL.replace('top: "ip"', 'top: "ip" top: "more"'), LayerError, "'ip'.*exactly 1 top"),
        (
            SMALL.replace('top: "ip"', 'top: "ip" propagate_down: true propagate_down: true'),
            PrototxtError,
            "propagate_down",
        ),
        (
            SMALL.replace('top: "pool"', 'top: "pool" param { lr_mult: 1 }'),
            PrototxtError,
            "Too many params",
        ),
        (
            SMALL.replace('top: "ip"', 'top: "ip" loss_weight: 1 loss_weight: 2'),
            PrototxtError,
            "loss_weight",
        ),
    ],
)
def test_bad_nets_are_one_clear_error(make_net, text, error, match):
    with pytest.raises(error, match=match) as caught:
        make_net(text)
    assert "net.prototxt" in str(caught.value)


def test_constructor_arguments(make_net, tmp_path):
    make_net()
    path = str(tmp_path / "net.prototxt")
    caffe.Net(network_file=path, phase=caffe.TEST, level=0, stages=["x"])
    with pytest.raises(TypeError, match="phase"):
        caffe.Net(path)
    for wrong in (1.0, "TEST"):
        with pytest.raises(TypeError, match="phase"):
            caffe.Net(path, wrong)
    with pytest.raises(TypeError, match="stages is a list"):
        caffe.Net(path, caffe.TEST, stages="deploy")
    with pytest.raises(RuntimeError, match=r"nowhere\.prototxt"):
        caffe.Net("nowhere.prototxt", caffe.TEST)


def test_a_subclass_and_its_attributes(make_net, tmp_path):
    make_net()

    class Mine(caffe.Net):
        def __init__(self, path):
            caffe.Net.__init__(self, path, caffe.TEST)
            self.extra = 1

    assert Mine(str(tmp_path / "net.prototxt")).extra == 1


def test_a_loss_without_a_top_gets_an_automatic_one(make_net):
    net = make_net(LOSS.format(top=""))
    assert net.outputs == []
    assert "(automatic)" in net.blobs
    net.forward(x=random((2, 3)), t=random((2, 3), 1))
    net.backward()
    assert np.abs(net.params["ip"][0].diff).max() > 0


def test_forward_all_pads_the_last_batch(make_net):
    net = make_net()
    x = random((5, 3, 6, 5))
    out = net.forward_all(data=x)["ip"]
    assert out.shape == (5, 2)
    want = [net.forward(data=np.stack([row, row]))["ip"][0].copy() for row in x]
    assert np.allclose(out, want, atol=1e-6)


def test_forward_backward_all_with_and_without_given_diffs(make_net):
    net = make_net()
    x, g = random((3, 3, 6, 5)), random((3, 2), 1)
    outs, grads = net.forward_backward_all(data=x, ip=g)
    assert outs["ip"].shape == (3, 2) and grads["data"].shape == x.shape
    for i, (row, diff) in enumerate(zip(x, g)):
        net.forward(data=np.stack([row, row]))
        want = net.backward(ip=np.stack([diff, diff]))["data"][0]
        assert np.allclose(grads["data"][i], want, atol=1e-5)
    net.blobs["ip"].diff[...] = 0
    assert (net.forward_backward_all(data=x)[1]["data"] == 0).all()
    with pytest.raises(DataError, match="none was given"):
        net.forward_all()


# Classes ----------------------------------------------------------------------------------------


def scores_of(tmp_path, classes):
    path = tmp_path / "scores.prototxt"
    path.write_text(
        f'layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ dim: 2 dim: {classes} '
        'dim: 4 dim: 3 } } } layer { name: "y" type: "Power" bottom: "x" top: "y" }'
    )
    return caffe.Net(str(path), caffe.TEST)


@pytest.mark.parametrize("classes, dtype", [(1, np.uint8), (256, np.uint8), (257, np.int32)])
def test_argmax_is_numpys_in_bytes(device, tmp_path, classes, dtype):
    net = scores_of(tmp_path, classes)
    x = np.random.default_rng(0).integers(0, 3, (2, classes, 4, 3)).astype(np.float32)
    x[0, classes // 2, 0, 0] = x[0, -1, 0, 0] = np.nan
    x[1, :, 1, 1] = -np.inf
    net.blobs["x"].data[...] = x
    net._forward(0, 1)
    found = net.argmax("y")
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, x.argmax(1))


def test_argmax_fetches_a_byte_a_pixel(pretend, tmp_path):
    net = scores_of(tmp_path, 21)
    net.blobs["x"].data[...] = 1
    net._forward(0, 1)
    with pretend.counting() as counts:
        net.argmax("y")
    assert counts["D2H bytes"] == 2 * 4 * 3


def test_argmax_wants_a_blob_of_scores(tmp_path):
    net = scores_of(tmp_path, 2)
    net.blobs["x"].reshape(3)
    with pytest.raises(caffe.Error, match=r"'x' has the shape \(3,\)"):
        net.argmax("x")
    with pytest.raises(KeyError, match="no blob named 'z'"):
        net.argmax("z")
