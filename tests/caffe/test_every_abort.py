"""Where BVLC Caffe's process ends, one exception here: it names the layer or the file, and the
process goes on with the next net."""

import os

import numpy as np
import pytest

import caffe

INPUT = """
layer { name: "in" type: "Input" top: "x" top: "y" input_param {
  shape { dim: 2 dim: 3 dim: 6 dim: 6 } shape { dim: 2 } } }
"""
GOOD = (
    INPUT
    + """
layer { name: "good" type: "InnerProduct" bottom: "x" top: "ip" inner_product_param {
  num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "quiet" type: "Silence" bottom: "y" }
"""
)


def bad(type_, settings="", bottom="x", top="z"):
    """A layer named "bad"; names of bottoms and tops are separated by blanks."""
    ends = "".join(f' bottom: "{b}"' for b in bottom.split())
    ends += "".join(f' top: "{t}"' for t in top.split())
    return f'layer {{ name: "bad" type: "{type_}"{ends} {settings} }}'


def conv(settings, **ends):
    return bad("Convolution", f"convolution_param {{ {settings} }}", **ends)


def ip(settings="", more="", **ends):
    settings = f"inner_product_param {{ num_output: 2 {settings} }} {more}"
    return bad("InnerProduct", settings, **ends)


def filler(settings):
    return ip(f"weight_filler {{ {settings} }}")


# What is wrong with a net, as BVLC's checks at construction name it -> the text behind INPUT.
LAYERS = {
    "unknown type": bad("Convolutoin"),
    "too many bottoms": bad("ReLU", bottom="x y"),
    "too few bottoms": bad("Eltwise"),
    "no top": bad("Softmax", top=""),
    "unknown bottom": bad("ReLU", bottom="nobody"),
    "top of two layers": bad("Power", top="y"),
    "include and exclude": bad("ReLU", "include { phase: TEST } exclude { phase: TRAIN }"),
    "loss weights of another number": bad("Power", "loss_weight: 1 loss_weight: 2"),
    "propagate_down of another number": bad("Power", "propagate_down: true propagate_down: true"),
    "more param than blobs": bad("ReLU", "param { lr_mult: 1 }"),
    "blob beyond INT_MAX": bad(
        "DummyData", "dummy_data_param { shape { dim: 99999 dim: 99999 } }", bottom=""
    ),
    "negative length": bad("DummyData", "dummy_data_param { shape { dim: -1 } }", bottom=""),
    "parameter beyond INT_MAX": ip("axis: 0").replace("num_output: 2", "num_output: 2000000000"),
    "Input shapes": bad(
        "Input", "input_param { shape { dim: 1 } shape { dim: 2 } }", bottom="", top="a b c"
    ),
    "DummyData styles": bad(
        "DummyData", "dummy_data_param { num: 1 shape { dim: 1 } }", bottom=""
    ),
    "no database": bad(
        "Data", 'data_param { source: "none" backend: LMDB batch_size: 1 }', bottom=""
    ),
    "no list of images": bad(
        "ImageData", 'image_data_param { source: "none" }', bottom="", top="a b"
    ),
    "one of two new sizes": bad(
        "ImageData", 'image_data_param { source: "none" new_height: 3 }', bottom="", top="a b"
    ),
    "no list of HDF5 files": bad(
        "HDF5Data", 'hdf5_data_param { source: "none" batch_size: 1 }', bottom=""
    ),
    "HDF5Data with a transformation": bad(
        "HDF5Data", 'hdf5_data_param { source: "none" batch_size: 1 } transform_param { }',
        bottom="",
    ),
    "no list of windows": bad(
        "WindowData", 'window_data_param { source: "none" batch_size: 1 }', bottom="", top="a b"
    ),
    "MemoryData without sizes": bad(
        "MemoryData", "memory_data_param { batch_size: 1 }", bottom="", top="a b"
    ),
    "no Python module": bad("Python", 'python_param { module: "no_such_one" layer: "A" }'),
    "kernel in both styles": conv("num_output: 1 kernel_size: 1 kernel_h: 1 kernel_w: 1"),
    "no kernel": conv("num_output: 1"),
    "kernel of 0": conv("num_output: 1 kernel_size: 0"),
    "stride of 0": conv("num_output: 1 kernel_size: 1 stride: 0"),
    "kernels of another number": conv(
        "num_output: 1 kernel_size: 1 kernel_size: 1 kernel_size: 1"
    ),
    "group and channels": conv("num_output: 2 kernel_size: 1 group: 2"),
    "group and outputs": conv("num_output: 2 kernel_size: 1 group: 3"),
    "no outputs": conv("kernel_size: 1"),
    "kernel larger than the image": conv("num_output: 1 kernel_size: 9"),
    "Crop offsets": bad(
        "Crop", "crop_param { axis: 2 offset: 1 offset: 1 offset: 1 }", bottom="x x"
    ),
    "Crop beyond the end": bad("Crop", "crop_param { axis: 2 offset: 1 }", bottom="x x"),
    "Pooling without a kernel": bad("Pooling", "pooling_param { }"),
    "global pooling with a kernel": bad(
        "Pooling", "pooling_param { global_pooling: true kernel_size: 2 }"
    ),
    "pad not below the kernel": bad("Pooling", "pooling_param { kernel_size: 2 pad: 2 }"),
    "Pooling of two axes": ip(top="a") + bad("Pooling", "pooling_param { kernel_size: 1 }",
                                             bottom="a"),
    "LRN of even size": bad("LRN", "lrn_param { local_size: 4 }"),
    "axis out of range": bad("Softmax", "softmax_param { axis: 4 }"),
    "BatchNorm of one axis": bad("BatchNorm", bottom="y"),
    "BatchNorm that learns": bad("BatchNorm", "param { lr_mult: 1 }"),
    "Scale that does not fit": bad("Scale", "scale_param { axis: 1 }", bottom="x y"),
    "Bias beyond the axes": bad("Bias", "bias_param { axis: 2 num_axes: 3 }"),
    "PReLU of one axis": bad("PReLU", bottom="y"),
    "Exp of a negative base": bad("Exp", "exp_param { base: -2 }"),
    "Concat in both styles": bad("Concat", "concat_param { axis: 1 concat_dim: 1 }"),
    "Concat of other sizes": bad("Concat", bottom="x y"),
    "Slice that does not divide": bad("Slice", "slice_param { axis: 1 }", top="a b"),
    "slice points of another number": bad("Slice", "slice_param { slice_point: 1 }", top="a b c"),
    "slice points that fall": bad(
        "Slice", "slice_param { slice_point: 2 slice_point: 1 }", top="a b c"
    ),
    "Flatten in place": bad("Flatten", top="x"),
    "Reshape in place": bad("Reshape", "reshape_param { shape { dim: 2 dim: -1 } }", top="x"),
    "AbsVal in place": bad("AbsVal", top="x"),
    "Reshape to another count": bad("Reshape", "reshape_param { shape { dim: 7 } }"),
    "Reshape infers two": bad("Reshape", "reshape_param { shape { dim: -1 dim: -1 } }"),
    "Reshape copies no axis": bad(
        "Reshape", "reshape_param { shape { dim: 1 dim: 1 dim: 1 dim: 1 dim: 0 } }"
    ),
    "Tile without tiles": bad("Tile"),
    "Eltwise of other sizes": bad("Eltwise", bottom="x y"),
    "Eltwise coefficients": bad("Eltwise", "eltwise_param { coeff: 1 }", bottom="x x"),
    "Eltwise product with coefficients": bad(
        "Eltwise", "eltwise_param { operation: PROD coeff: 1 coeff: 1 }", bottom="x x"
    ),
    "ArgMax of more than there are": bad("ArgMax", "argmax_param { axis: 1 top_k: 4 }"),
    "Accuracy of more than there are": bad(
        "Accuracy", "accuracy_param { top_k: 9 }", bottom="x y"
    ),
    "labels of another number": bad("SoftmaxWithLoss", bottom="x y"),
    "Euclidean of other sizes": bad("EuclideanLoss", bottom="x y"),
    "sigmoid loss of other sizes": bad("SigmoidCrossEntropyLoss", bottom="x y"),
    "Infogain without a matrix": bad("InfogainLoss", bottom="x y"),
    "LSTM without outputs": bad("LSTM", bottom="x y"),
    "Embed without sizes": bad("Embed", bottom="y"),
    "uniform filler": filler('type: "uniform" min: 2 max: 1'),
    "gaussian filler": filler('type: "gaussian" std: 0'),
    "sparse filler": filler('type: "xavier" sparse: 2'),
    "unknown filler": filler('type: "xaver"'),
    "bilinear filler": filler('type: "bilinear"'),
    "shared parameter of another shape": (
        ip(more='param { name: "w" }', top="a").replace("bad", "first")
        + ip("axis: 2", 'param { name: "w" }')
    ),
    "shared parameter of another rate": (
        ip(more='param { name: "w" lr_mult: 1 }', top="a").replace("bad", "first")
        + ip(more='param { name: "w" lr_mult: 2 }')
    ),
}  # fmt: skip

# Files that are no net.
FILES = {
    "syntax": "layer {",
    "unknown field": "layers_ { }",
    "no quotes": "name: net",
    "required fields": 'layer { name: "bad" type: "Clip" bottom: "x" top: "z" clip_param { } }',
    "two generations": INPUT + 'layers { name: "bad" type: RELU bottom: "x" top: "z" }',
    "V0 type": 'layers { layer { name: "bad" type: "nothing" } }',
}

# What ends BVLC's process when a built net is used: layers behind INPUT, and the call.
CALLS = {
    "size of another kind": (
        ip(), lambda net: (net.blobs["x"].reshape(2, 4, 6, 6), net.forward())
    ),
    "channels of another number": (
        conv("num_output: 1 kernel_size: 1"),
        lambda net: (net.blobs["x"].reshape(2, 4, 6, 6), net.reshape()),
    ),
    "MemoryData without arrays": (
        bad("MemoryData", "memory_data_param { batch_size: 1 channels: 1 height: 1 width: 1 }",
            bottom="", top="a b"),
        lambda net: net.forward(),
    ),
    "index out of range": (
        bad("BatchReindex", bottom="x y"), lambda net: (index_of_9(net), net.forward())
    ),
    "ArgMax backward": (
        "force_backward: true " + bad("ArgMax"), lambda net: (net.forward(), net.backward())
    ),
    "Threshold backward": (
        "force_backward: true " + bad("Threshold"), lambda net: (net.forward(), net.backward())
    ),
}  # fmt: skip

SOLVER = (
    'net_param {{ layer {{ name: "d" type: "DummyData" top: "x" dummy_data_param {{ '
    'shape {{ dim: 1 dim: 2 }} }} }} layer {{ name: "ip" type: "InnerProduct" bottom: "x" top: "z" '
    "inner_product_param {{ num_output: 1 }} }} }} {} "
)
FIXED = 'base_lr: 0.1 lr_policy: "fixed" snapshot: 0 '
SOLVERS = {
    "no policy": "base_lr: 0.1",
    "unknown policy": 'base_lr: 0.1 lr_policy: "fix"',
    "step without stepsize": 'base_lr: 0.1 lr_policy: "step" gamma: 0.1',
    "negative gamma": 'base_lr: 0.1 lr_policy: "exp" gamma: -1',
    "average_loss": FIXED + "average_loss: 0",
    "AdaGrad with momentum": FIXED + 'type: "AdaGrad" momentum: 0.9',
    "RMSProp with momentum": FIXED + 'type: "RMSProp" momentum: 0.9',
    "RMSProp decay": FIXED + 'type: "RMSProp" rms_decay: 1',
    "unknown type": FIXED + 'type: "SDG"',
    "both types": FIXED + 'type: "SGD" solver_type: ADAM',
    "two train nets": FIXED + 'net: "n"',
    "tests without an interval": FIXED + "test_iter: 1",
    "test states": FIXED + "test_iter: 1 test_interval: 1 test_state { } test_state { }",
    "regularisation": FIXED + 'regularization_type: "L3" weight_decay: 1',
    "no folder for snapshots": FIXED.replace("snapshot: 0", "snapshot: 1")
    + 'snapshot_prefix: "no/folder"',
}


def index_of_9(net):
    net.blobs["y"].data[...] = 9


@pytest.fixture(autouse=True)
def workplace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write(text, path="wrong.prototxt"):
    with open(path, "w") as file:
        file.write(text)
    return path


def one_error(call, *names):
    """Exactly an exception of the engine's own, which holds each of ``names``."""
    with pytest.raises(caffe.Error) as caught:
        call()
    message = str(caught.value)
    assert type(caught.value) is not caffe.Error
    assert not [name for name in names if name not in message], message
    assert message.count("wrong.prototxt") <= 2, message  # told once, not once a level


def goes_on():
    net = caffe.Net(write(GOOD, "good.prototxt"), caffe.TRAIN)
    net.blobs["x"].data[...] = 1
    out = net.forward()["ip"]
    assert out.shape == (2, 2) and np.isfinite(out).all() and out.any()


@pytest.mark.parametrize("name", LAYERS)
def test_a_wrong_layer(name):
    path = write(INPUT + LAYERS[name])
    one_error(lambda: caffe.Net(path, caffe.TRAIN), path, "'bad'")
    goes_on()


@pytest.mark.parametrize("name", FILES)
def test_a_wrong_file(name):
    path = write(FILES[name])
    one_error(lambda: caffe.Net(path, caffe.TRAIN), path)
    goes_on()


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.filterwarnings("ignore:.*zero")
def test_a_wrong_call(name):
    text, call = CALLS[name]
    net = caffe.Net(write(INPUT + text), caffe.TRAIN)
    one_error(lambda: call(net), "'bad'")
    net.blobs["x"].reshape(2, 3, 6, 6)  # the same net goes on
    net.blobs["y"].data[...] = 0
    if "MemoryData" not in name:
        net.forward()
    goes_on()


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.filterwarnings("ignore:.*zero")
def test_a_wrong_solver(name):
    path = write(SOLVER.format(SOLVERS[name]))
    one_error(lambda: caffe.get_solver(path).step(1))
    goes_on()


def test_files_of_weights_and_states_that_do_not_fit():
    net = caffe.Net(write(GOOD, "good.prototxt"), caffe.TRAIN)
    other = caffe.Net(write(GOOD.replace("num_output: 2", "num_output: 3"), "o.prototxt"), 0)
    other.save("other.caffemodel")
    other.save_hdf5("other.h5")
    for path in ("other.caffemodel", "other.h5"):
        one_error(lambda p=path: net.copy_from(p), path, "'good'")
    one_error(lambda: net.share_with(other), "'good'")
    for path in ("none.caffemodel", "good.prototxt"):
        one_error(lambda p=path: net.copy_from(p), path)
    one_error(lambda: net.save("no/folder/a"), "no/folder/a")
    one_error(lambda: net.save_hdf5("no/folder/a.h5"), "no/folder/a.h5")
    one_error(lambda: net._forward(0, 99), "99")
    write(SOLVER.format(FIXED), "solver.prototxt")
    solver = caffe.get_solver("solver.prototxt")
    for path in ("none.solverstate", "other.caffemodel", "other.h5"):
        one_error(lambda p=path: solver.restore(p), path)
    assert net.forward()["ip"].shape == (2, 2)
    goes_on()


def test_nothing_is_left_behind():
    path = write(INPUT + LAYERS["LRN of even size"])
    before = sorted(os.listdir())
    for _ in range(3):
        one_error(lambda: caffe.Net(path, caffe.TRAIN), path)
    assert sorted(os.listdir()) == before
