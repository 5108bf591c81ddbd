"""What the mutations begin with: small nets and solvers, and weights in every form that files have.

The nets use what both engines have, hold their own data, and run in milliseconds.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from caffe.proto import caffe_pb2

_INPUT = """
name: "seed"
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 2 dim: 3 dim: 9 dim: 8 } } }
"""

NETS = {
    "classifier": _INPUT
    + """
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  param { lr_mult: 1 decay_mult: 1 } param { lr_mult: 2 decay_mult: 0 }
  convolution_param { num_output: 4 kernel_size: 3 stride: 2 pad: 1
    weight_filler { type: "xavier" } bias_filler { type: "constant" value: 0.1 } } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" relu_param { negative_slope: 0.1 } }
layer { name: "norm1" type: "LRN" bottom: "conv1" top: "norm1"
  lrn_param { local_size: 3 alpha: 0.0001 beta: 0.75 } }
layer { name: "pool1" type: "Pooling" bottom: "norm1" top: "pool1"
  pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layer { name: "ip" type: "InnerProduct" bottom: "pool1" top: "ip"
  inner_product_param { num_output: 5 weight_filler { type: "uniform" min: -0.5 max: 0.5 } } }
layer { name: "drop" type: "Dropout" bottom: "ip" top: "ip" dropout_param { dropout_ratio: 0.5 }
  include { phase: TEST } }
layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" }
""",
    "segmentation": """
layer { name: "input" type: "DummyData" top: "data" top: "label"
  dummy_data_param { shape { dim: 1 dim: 3 dim: 12 dim: 10 } shape { dim: 1 dim: 1 dim: 12 dim: 10 }
    data_filler { type: "uniform" min: -1 max: 1 } data_filler { type: "constant" value: 1 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 pad: 4 weight_filler { type: "msra" } } }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool"
  pooling_param { pool: AVE kernel_size: 2 stride: 2 } }
layer { name: "up" type: "Deconvolution" bottom: "pool" top: "up" param { lr_mult: 0 }
  convolution_param { num_output: 3 kernel_size: 4 stride: 2 bias_term: false
    weight_filler { type: "bilinear" } } }
layer { name: "score" type: "Crop" bottom: "up" bottom: "data" top: "score"
  crop_param { axis: 2 offset: 3 } }
layer { name: "fuse" type: "Eltwise" bottom: "score" bottom: "data" top: "fuse"
  eltwise_param { operation: SUM coeff: 1 coeff: 0.5 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fuse" bottom: "label" top: "loss"
  loss_weight: 1 loss_param { ignore_label: 255 normalize: false } }
layer { name: "acc" type: "Accuracy" bottom: "fuse" bottom: "label" top: "acc"
  accuracy_param { top_k: 1 } include { phase: TEST stage: "" } }
""",
    "shapes": _INPUT
    + """
layer { name: "slice" type: "Slice" bottom: "data" top: "a" top: "b"
  slice_param { axis: 1 slice_point: 1 } }
layer { name: "flat" type: "Reshape" bottom: "b" top: "flat"
  reshape_param { shape { dim: 0 dim: -1 } } }
layer { name: "power" type: "Power" bottom: "a" top: "power"
  power_param { power: 2 scale: 0.5 shift: 1 } }
layer { name: "sig" type: "Sigmoid" bottom: "power" top: "sig" }
layer { name: "max" type: "ArgMax" bottom: "flat" top: "max"
  argmax_param { top_k: 2 out_max_val: true } }
layer { name: "cat" type: "Concat" bottom: "sig" bottom: "power" bottom: "a" top: "cat"
  concat_param { axis: 1 } }
layer { name: "scale" type: "Scale" bottom: "cat" top: "cat"
  scale_param { bias_term: true filler { type: "constant" value: 2 } } }
layer { name: "quiet" type: "Silence" bottom: "flat" }
""",
    "normalised": _INPUT
    + """
state { level: 0 stage: "x" }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" param { name: "w" }
  convolution_param { num_output: 6 kernel_h: 1 kernel_w: 3 group: 3 dilation: 1 bias_term: false
    weight_filler { type: "xavier" variance_norm: AVERAGE } } }
layer { name: "again" type: "Convolution" bottom: "data" top: "again" param { name: "w" }
  convolution_param { num_output: 6 kernel_h: 1 kernel_w: 3 group: 3 bias_term: false } }
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "bn" batch_norm_param { eps: 0.001 } }
layer { name: "prelu" type: "PReLU" bottom: "bn" top: "bn" }
layer { name: "sum" type: "Eltwise" bottom: "bn" bottom: "again" top: "sum"
  eltwise_param { operation: MAX } include { not_stage: "y" min_level: 0 } }
layer { name: "tanh" type: "TanH" bottom: "sum" top: "out" exclude { stage: "y" } }
""",
    "old layers": """
name: "v1" input: "data" input_dim: 1 input_dim: 2 input_dim: 6 input_dim: 6
layers { name: "conv" type: CONVOLUTION bottom: "data" top: "conv" blobs_lr: 1 blobs_lr: 2
  weight_decay: 1 weight_decay: 0
  convolution_param { num_output: 3 kernel_size: 3 weight_filler { type: "xavier" } } }
layers { name: "relu" type: RELU bottom: "conv" top: "conv" }
layers { name: "pool" type: POOLING bottom: "conv" top: "pool"
  pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layers { name: "ip" type: INNER_PRODUCT bottom: "pool" top: "ip"
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layers { name: "prob" type: SOFTMAX bottom: "ip" top: "prob" include: { phase: TEST } }
""",
    "oldest layers": """
name: "v0" input: "data" input_dim: 1 input_dim: 2 input_dim: 6 input_dim: 6
layers { layer { name: "pad" type: "padding" pad: 1 } bottom: "data" top: "pad" }
layers { layer { name: "conv" type: "conv" num_output: 3 kernelsize: 3
  weight_filler { type: "xavier" } blobs_lr: 1. blobs_lr: 2. } bottom: "pad" top: "conv" }
layers { layer { name: "relu" type: "relu" } bottom: "conv" top: "conv" }
layers { layer { name: "pool" type: "pool" pool: MAX kernelsize: 2 stride: 2 }
  bottom: "conv" top: "pool" }
layers { layer { name: "ip" type: "innerproduct" num_output: 2 weight_filler { type: "xavier" } }
  bottom: "pool" top: "ip" }
""",
}

SOLVERS = {
    "sgd": """
net_param {
  layer { name: "data" type: "DummyData" top: "data" top: "label" dummy_data_param {
    shape { dim: 4 dim: 3 } shape { dim: 4 }
    data_filler { type: "uniform" } data_filler { type: "constant" value: 1 } } }
  layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" param { lr_mult: 1 }
    inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
  layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" } }
base_lr: 0.1 lr_policy: "step" gamma: 0.5 stepsize: 1 momentum: 0.9 weight_decay: 0.01
regularization_type: "L2" max_iter: 3 display: 0 iter_size: 2 clip_gradients: 5 random_seed: 5
snapshot: 0 snapshot_after_train: false average_loss: 2 type: "SGD" test_interval: 0
""",
    "adam": """
net_param {
  layer { name: "data" type: "DummyData" top: "data" dummy_data_param {
    num: 4 channels: 3 height: 1 width: 1 data_filler { type: "uniform" } } }
  layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
    inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
  layer { name: "loss" type: "EuclideanLoss" bottom: "ip" bottom: "data" top: "loss" } }
test_iter: 1 test_interval: 2 test_initialization: false
base_lr: 0.01 lr_policy: "multistep" gamma: 0.1 stepvalue: 1 stepvalue: 2 power: 0.5
momentum: 0.9 momentum2: 0.99 delta: 1e-8 max_iter: 3 random_seed: 5 solver_type: ADAM
""",
}

#: The net whose weights are loaded.
WEIGHTS_NET = """
name: "weights"
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 16 kernel_size: 3 } }
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "bn" }
layer { name: "ip" type: "InnerProduct" bottom: "bn" top: "ip"
  inner_product_param { num_output: 20 } }
"""
_SHAPES = {
    "conv": [(16, 3, 3, 3), (16,)],
    "bn": [(16,), (16,), (1,)],
    "ip": [(20, 576), (20,)],
}
_TYPES = {"conv": "Convolution", "bn": "BatchNorm", "ip": "InnerProduct"}


def _fill(blob: caffe_pb2.BlobProto, shape: tuple[int, ...], form: str, seed: int) -> None:
    values = np.random.RandomState(seed).randn(*shape).astype(np.float32)
    if form == "legacy":
        legacy = (1,) * (4 - len(shape)) + shape
        blob.num, blob.channels, blob.height, blob.width = legacy
    else:
        blob.shape.dim.extend(shape)
    (blob.double_data if form == "double" else blob.data).extend(values.ravel().tolist())
    if form == "diff":
        blob.diff.extend((values / 2).ravel().tolist())


def _unpacked(blob: caffe_pb2.BlobProto) -> bytes:
    """The blob with one tag for every number, as the earliest files have it."""
    numbers = np.asarray(blob.data, "<f4").tobytes()
    singles = b"".join(b"\x2d" + numbers[k : k + 4] for k in range(0, len(numbers), 4))
    rest = caffe_pb2.BlobProto()
    rest.CopyFrom(blob)
    rest.ClearField("data")
    return singles + rest.SerializeToString()


def weights() -> dict[str, bytes]:
    """Caffemodels for :data:`WEIGHTS_NET`, by form."""
    files = {}
    for form in ("plain", "diff", "double", "legacy", "unpacked", "V1", "V0"):
        net = caffe_pb2.NetParameter(name="weights")
        for k, (name, shapes) in enumerate(_SHAPES.items()):
            if form == "V1":
                layer = net.layers.add(name=name, bottom=["data"], top=[name])
                kinds = caffe_pb2.V1LayerParameter.LayerType
                layer.type = kinds.Value("INNER_PRODUCT" if name == "ip" else "CONVOLUTION")
            elif form == "V0":
                net.input[:] = ["data"]  # or BVLC finds no source for the first layer
                layer = net.layers.add(bottom=["data"], top=[name]).layer
                layer.name, layer.type = name, "innerproduct" if name == "ip" else "conv"
            else:
                layer = net.layer.add(name=name, type=_TYPES[name], bottom=["data"], top=[name])
                if name == "conv":
                    layer.convolution_param.num_output = 16
                    layer.convolution_param.kernel_size.append(3)
                layer.param.add(lr_mult=1.5)
            for j, shape in enumerate(shapes):
                blob = layer.blobs.add()
                _fill(blob, shape, "legacy" if form == "V0" else form, 10 * k + j)
        if form == "unpacked":
            for layer in net.layer:
                blobs = [_unpacked(blob) for blob in layer.blobs]
                layer.ClearField("blobs")
                layer_bytes = layer.SerializeToString()
                for raw in blobs:
                    layer_bytes += b"\x3a" + _varint(len(raw)) + raw
                files.setdefault("_", b"")
                files["_"] += b"\xa2\x06" + _varint(len(layer_bytes)) + layer_bytes
            files[form] = b"\x0a\x07weights" + files.pop("_")
        else:
            files[form] = net.SerializeToString()
    return files


def _varint(value: int) -> bytes:
    result = bytearray()
    while value >= 128:
        result.append(value & 127 | 128)
        value >>= 7
    result.append(value)
    return bytes(result)


def hdf5_weights(folder: Path) -> Path:
    """A file of weights in HDF5 for :data:`WEIGHTS_NET`, which lies in ``folder``."""
    import caffe

    net = caffe.Net(str(folder / "net.prototxt"), caffe.TEST)
    for seed, blob in enumerate(b for blobs in net.params.values() for b in blobs):
        blob.data[...] = np.random.RandomState(seed).randn(*blob.data.shape)
    net.save_hdf5(str(folder / "whole.h5"))
    return folder / "whole.h5"


def states(folder: Path) -> list[Path]:
    """A solver's states, binary and HDF5, which continue weights in ``folder``."""
    import caffe

    paths = []
    for form, end in (("BINARYPROTO", ""), ("HDF5", ".h5")):
        prefix = f'snapshot_prefix: "{folder / "s"}" snapshot_format: {form}'
        (folder / "solver.prototxt").write_text(SOLVERS["sgd"] + prefix)
        solver = caffe.get_solver(str(folder / "solver.prototxt"))
        solver.step(2)
        solver.snapshot()
        paths.append(folder / f"s_iter_2.solverstate{end}")
    return paths
