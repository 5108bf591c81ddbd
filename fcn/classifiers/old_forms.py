"""Nets in the syntax of their time: `input_dim` in place of Input layers, V1 `layers`.

Caffe reads both still; files of 2014 are written so, and tools that read those want them.
"""

from __future__ import annotations

from caffe.proto import caffe_pb2

#: The layer types of the classifiers that V1 knew, and what it called them.
V1_TYPES = {
    "Accuracy": "ACCURACY",
    "Concat": "CONCAT",
    "ContrastiveLoss": "CONTRASTIVE_LOSS",
    "Convolution": "CONVOLUTION",
    "Data": "DATA",
    "Dropout": "DROPOUT",
    "InnerProduct": "INNER_PRODUCT",
    "LRN": "LRN",
    "Pooling": "POOLING",
    "ReLU": "RELU",
    "Slice": "SLICE",
    "Softmax": "SOFTMAX",
    "SoftmaxWithLoss": "SOFTMAX_LOSS",
}
#: Fields of a layer that V1 has under another name or in another form.
_CONVERTED = ("type", "param")


def old_input(net: caffe_pb2.NetParameter) -> caffe_pb2.NetParameter:
    """The net with `input` and `input_dim` (or `input_shape`, for other than four axes) in place
    of Input layers."""
    made = caffe_pb2.NetParameter()
    made.CopyFrom(net)
    del made.layer[:]
    shapes: list[caffe_pb2.BlobShape] = []
    for layer in net.layer:
        if layer.type == "Input":
            made.input.extend(layer.top)
            shapes.extend(layer.input_param.shape)
        else:
            made.layer.add().CopyFrom(layer)
    if all(len(shape.dim) == 4 for shape in shapes):
        for shape in shapes:
            made.input_dim.extend(shape.dim)
    else:
        made.input_shape.extend(shapes)
    return made


def v1(net: caffe_pb2.NetParameter) -> caffe_pb2.NetParameter:
    """The net with V1 `layers` and `input_dim`.

    Raises ValueError for a layer type or a field that V1 did not have.
    """
    made = old_input(net)
    modern = list(made.layer)
    del made.layer[:]
    for layer in modern:
        _convert(layer, made.layers.add())
    return made


def _convert(layer: caffe_pb2.LayerParameter, old: caffe_pb2.V1LayerParameter) -> None:
    if layer.type not in V1_TYPES:
        raise ValueError(f"layer {layer.name!r}: V1 nets had no layer type {layer.type}")
    old.type = getattr(caffe_pb2.V1LayerParameter, V1_TYPES[layer.type])
    fields = old.DESCRIPTOR.fields_by_name
    for field, value in layer.ListFields():
        if field.name in _CONVERTED:
            continue
        if field.name not in fields:
            raise ValueError(f"layer {layer.name!r}: V1 layers had no field {field.name}")
        target = getattr(old, field.name)
        if hasattr(target, "extend"):
            target.extend(value)
        elif hasattr(target, "CopyFrom"):
            target.CopyFrom(value)
        else:
            setattr(old, field.name, value)
    # Multipliers of a field that no parameter sets are left out.
    for name, target in (("lr_mult", old.blobs_lr), ("decay_mult", old.weight_decay)):
        if any(param.HasField(name) for param in layer.param):
            target.extend(getattr(param, name) for param in layer.param)
    if any(param.name for param in layer.param):
        old.param.extend(param.name for param in layer.param)
