"""Crops without an offset in today's syntax: FCN-8s as it was passed around in 2015."""

import warnings

import numpy as np
import pytest

import caffe
from caffe.prototxt import crop_offsets
from caffe.prototxt.crop_offsets import CropOffsetWarning
from caffe.tools.upgrade import net_proto_text


def layer(name, kind, bottoms, body=""):
    names = " ".join(f'bottom: "{bottom}"' for bottom in bottoms)
    return f'layer {{ name: "{name}" type: "{kind}" {names} top: "{name}" {body} }}\n'


def window(kernel, stride=1, pad=0, outputs=1):
    return (
        f"convolution_param {{ num_output: {outputs} kernel_size: {kernel} stride: {stride} "
        f'pad: {pad} bias_term: false weight_filler {{ type: "bilinear" }} }}'
    )


def pool(name, bottom):
    return layer(name, "Pooling", [bottom], "pooling_param { kernel_size: 2 stride: 2 }")


def fcn8s(crop=""):
    """The skeleton of FCN-8s with one channel: its sizes, strides and crops, without ReLUs."""
    text = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 1 '
    text += "dim: 60 dim: 70 } } }\n"
    text += layer("conv1", "Convolution", ["data"], window(3, pad=100))
    for number in range(1, 6):
        text += pool(f"pool{number}", f"pool{number - 1}" if number > 1 else "conv1")
    text += layer("fc6", "Convolution", ["pool5"], window(7))
    text += layer("score2", "Deconvolution", ["fc6"], window(4, 2))
    text += layer("score_pool4", "Convolution", ["pool4"], window(1))
    text += layer("score_pool4c", "Crop", ["score_pool4", "score2"], crop)
    text += layer("fuse4", "Eltwise", ["score2", "score_pool4c"])
    text += layer("score4", "Deconvolution", ["fuse4"], window(4, 2))
    text += layer("score_pool3", "Convolution", ["pool3"], window(1))
    text += layer("score_pool3c", "Crop", ["score_pool3", "score4"], crop)
    text += layer("fuse3", "Eltwise", ["score4", "score_pool3c"])
    text += layer("bigscore", "Deconvolution", ["fuse3"], window(16, 8))
    return text + layer("upscore", "Crop", ["bigscore", "data"], crop)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "fcn8s.prototxt"
    path.write_text(fcn8s())
    return path


def offsets(net):
    return [list(x.param.crop_param.offset) for x in net.layers if x.type == "Crop"]


def test_one_warning_names_the_offsets_and_the_line_to_write(file):
    with pytest.warns(CropOffsetWarning) as caught:
        net = caffe.Net(str(file), caffe.TEST)
    (told,) = [str(w.message) for w in caught]
    for name, offset in (("score_pool4c", 5), ("score_pool3c", 9), ("upscore", 31)):
        assert f"layer '{name}': crop_param {{ offset: {offset} }}" in told
    assert "fcn8s.prototxt: 3 Crop layer(s)" in told and "fix_crops=True" in told
    # the default stays BVLC's: from the corner
    assert offsets(net) == [[], [], []]
    net.blobs["data"].data[...] = np.random.RandomState(0).rand(1, 1, 60, 70)
    scores = net.forward()["upscore"]
    assert np.array_equal(scores, net.blobs["bigscore"].data[:, :, :60, :70])


def test_an_argument_of_net_sets_them(file):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net = caffe.Net(str(file), caffe.TEST, fix_crops=True)
    assert offsets(net) == [[5], [9], [31]]
    net.blobs["data"].data[...] = np.random.RandomState(0).rand(1, 1, 60, 70)
    scores = net.forward()["upscore"]
    assert np.array_equal(scores, net.blobs["bigscore"].data[:, :, 31:91, 31:101])


def test_upgrade_net_proto_text_writes_them(file, tmp_path):
    out = tmp_path / "out.prototxt"
    assert net_proto_text(["--fix-crops", str(file), str(out)]) == 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert offsets(caffe.Net(str(out), caffe.TEST)) == [[5], [9], [31]]
    assert net_proto_text([str(file), str(out)]) == 0  # without the option BVLC's text
    assert "offset" not in out.read_text()


@pytest.mark.parametrize(
    "text",
    [
        fcn8s("crop_param { offset: 0 }"),  # said: meant
        # where it is 0 already, and where the bottoms have no such map
        layer("a", "Input", [], "input_param { shape { dim: 1 dim: 2 dim: 5 dim: 5 } }")
        + layer("b", "Convolution", ["a"], window(3, pad=1))
        + layer("c", "Crop", ["b", "a"])
        + layer("d", "Input", [], "input_param { shape { dim: 1 dim: 2 dim: 3 dim: 3 } }")
        + layer("e", "Crop", ["b", "d"]),
    ],
)
def test_no_warning_where_nothing_is_wrong(tmp_path, text):
    path = tmp_path / "n.prototxt"
    path.write_text(text)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        caffe.Net(str(path), caffe.TEST)
    assert crop_offsets.fix_crops(caffe.Net(str(path), caffe.TEST)._param, "n") == []


def test_the_edge_nets_with_pad_35(tmp_path):
    """HED: three sizes of Deconvolution, one Crop each."""
    text = layer("data", "Input", [], "input_param { shape { dim: 1 dim: 1 dim: 40 dim: 40 } }")
    text += layer("conv1", "Convolution", ["data"], window(3, pad=35))
    text += pool("pool1", "conv1") + pool("pool2", "pool1")
    text += layer("up1", "Deconvolution", ["pool1"], window(4, 2))
    text += layer("up2", "Deconvolution", ["pool2"], window(8, 4))
    text += "".join(
        layer(f"c{k}", "Crop", [b, "data"]) for k, b in enumerate(("conv1", "up1", "up2"))
    )
    path = tmp_path / "hed.prototxt"
    path.write_text(text)
    assert offsets(caffe.Net(str(path), caffe.TEST, fix_crops=True)) == [[34], [35], [36]]
