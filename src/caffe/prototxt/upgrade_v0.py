"""V0 → V1: nets of 2013, where one flat message held the fields of all layer types.

Two things change: every field moves into the message of its layer's type (``ROUTES``), and the
separate ``padding`` layers become the ``pad`` of the convolution or pooling that follows them.
"""

from __future__ import annotations

from caffe import glog
from caffe.errors import PrototxtError
from caffe.proto import caffe_pb2

__all__ = ["upgrade_v0"]

TYPES = {
    "accuracy": "ACCURACY",
    "bnll": "BNLL",
    "concat": "CONCAT",
    "conv": "CONVOLUTION",
    "data": "DATA",
    "dropout": "DROPOUT",
    "euclidean_loss": "EUCLIDEAN_LOSS",
    "flatten": "FLATTEN",
    "hdf5_data": "HDF5_DATA",
    "hdf5_output": "HDF5_OUTPUT",
    "im2col": "IM2COL",
    "images": "IMAGE_DATA",
    "infogain_loss": "INFOGAIN_LOSS",
    "innerproduct": "INNER_PRODUCT",
    "lrn": "LRN",
    "multinomial_logistic_loss": "MULTINOMIAL_LOGISTIC_LOSS",
    "pool": "POOLING",
    "relu": "RELU",
    "sigmoid": "SIGMOID",
    "softmax": "SOFTMAX",
    "softmax_loss": "SOFTMAX_LOSS",
    "split": "SPLIT",
    "tanh": "TANH",
    "window_data": "WINDOW_DATA",
}

# The V1 message that each type's own fields move to.
PARAM_OF = {
    "concat": "concat_param",
    "conv": "convolution_param",
    "data": "data_param",
    "dropout": "dropout_param",
    "hdf5_data": "hdf5_data_param",
    "hdf5_output": "hdf5_output_param",
    "images": "image_data_param",
    "infogain_loss": "infogain_loss_param",
    "innerproduct": "inner_product_param",
    "lrn": "lrn_param",
    "pool": "pooling_param",
    "window_data": "window_data_param",
}

# V0 field → (its name in the type's message, the types that have it).
ROUTES = {
    "num_output": ("num_output", "conv innerproduct"),
    "biasterm": ("bias_term", "conv innerproduct"),
    "weight_filler": ("weight_filler", "conv innerproduct"),
    "bias_filler": ("bias_filler", "conv innerproduct"),
    "pad": ("pad", "conv pool"),
    "kernelsize": ("kernel_size", "conv pool"),
    "group": ("group", "conv"),
    "stride": ("stride", "conv pool"),
    "pool": ("pool", "pool"),
    "dropout_ratio": ("dropout_ratio", "dropout"),
    "local_size": ("local_size", "lrn"),
    "alpha": ("alpha", "lrn"),
    "beta": ("beta", "lrn"),
    "k": ("k", "lrn"),
    "source": ("source", "data hdf5_data images window_data infogain_loss"),
    "batchsize": ("batch_size", "data hdf5_data images window_data"),
    "rand_skip": ("rand_skip", "data images"),
    "shuffle_images": ("shuffle", "images"),
    "new_height": ("new_height", "images"),
    "new_width": ("new_width", "images"),
    "concat_dim": ("concat_dim", "concat"),
    "det_fg_threshold": ("fg_threshold", "window_data"),
    "det_bg_threshold": ("bg_threshold", "window_data"),
    "det_fg_fraction": ("fg_fraction", "window_data"),
    "det_context_pad": ("context_pad", "window_data"),
    "det_crop_mode": ("crop_mode", "window_data"),
}

# Moved to transform_param whatever the type.
TRANSFORM = {
    "scale": "scale",
    "meanfile": "mean_file",
    "cropsize": "crop_size",
    "mirror": "mirror",
}

# Copied as they are.
COMMON = {"name", "blobs", "blobs_lr", "weight_decay"}

KEPT_OF_NET = ("name", "input", "input_dim", "force_backward")


def upgrade_v0(net: caffe_pb2.NetParameter, source: str) -> bool:
    """Turns the V0 entries of ``net.layers`` into V1 entries, in place.

    True where every field of the entries has a place in V1; those without one are logged.

    As in BVLC Caffe, only the name, the inputs and force_backward of the net itself survive, and
    only bottom and top of what stands beside the nested ``layer``.

    Raises:
        PrototxtError: an unknown layer type, entries of two generations in one file, or a padding
            layer that no convolution or pooling follows.
    """
    old = caffe_pb2.NetParameter()
    old.CopyFrom(net)
    net.Clear()
    for name in KEPT_OF_NET:
        _copy(old, net, name)
    lost = [f.name for f, _ in old.ListFields() if f.name not in (*KEPT_OF_NET, "layers")]
    if lost:
        glog.warning("upgrade_proto", f"{source}: a V0 net drops its {', '.join(lost)}")
    complete = True
    for entry in _merge_padding(old, source):
        complete &= _upgrade_layer(entry, net.layers.add(), source)
    return complete


def _upgrade_layer(entry, v1, source: str) -> bool:
    """Moves the fields of one V0 entry into the V1 entry ``v1``; True where none is left over."""
    old = entry.layer
    where = _where(entry, source)
    if old.type not in TYPES:
        raise PrototxtError(
            f"{where}: Unknown layer name: {old.type!r} is no V0 layer type "
            f"(known types: {', '.join(sorted(TYPES))})"
        )
    v1.bottom.extend(entry.bottom)
    v1.top.extend(entry.top)
    v1.type = v1.LayerType.Value(TYPES[old.type])
    lost = [f.name for f, _ in entry.ListFields() if f.name not in ("layer", "bottom", "top")]
    for field, value in old.ListFields():
        name = field.name
        if name in COMMON:
            _copy(old, v1, name)
        elif name in TRANSFORM:
            setattr(v1.transform_param, TRANSFORM[name], value)
        elif name == "hdf5_output_param" and old.type == "hdf5_output":
            v1.hdf5_output_param.CopyFrom(value)
        elif name in ROUTES and old.type in ROUTES[name][1].split():
            _assign(getattr(v1, PARAM_OF[old.type]), ROUTES[name][0], value)
        elif name != "type":
            lost.append(name)
    for name in lost:
        glog.error("upgrade_proto", f"{where}: Unknown parameter {name} for layer type {old.type}")
    return not lost


def _merge_padding(net, source: str) -> list:
    """Returns copies of the entries without padding layers, their pad moved to the consumers."""
    kept = []
    producer = dict.fromkeys(net.input)  # blob → the latest entry that makes it
    for original in net.layers:
        entry = caffe_pb2.V1LayerParameter()
        entry.CopyFrom(original)
        where = _where(entry, source)
        if not entry.HasField("layer"):
            raise PrototxtError(f"{where}: V0 and V1 entries in one file; write all of them alike")
        for i, bottom in enumerate(entry.bottom):
            if bottom not in producer:
                raise PrototxtError(
                    f"{where}: Unknown blob input {bottom!r}: neither an input of the net nor a "
                    f"top of an earlier layer (blobs so far: {', '.join(producer) or 'none'})"
                )
            padding = producer[bottom]
            if padding is None or padding.layer.type != "padding":
                continue
            if entry.layer.type not in ("conv", "pool"):
                raise PrototxtError(
                    f"{where}: Padding layer {padding.layer.name!r} is followed by a layer of "
                    f"type {entry.layer.type!r}; only conv and pool can take over its padding"
                )
            if len(padding.bottom) != 1 or len(entry.bottom) != 1:
                raise PrototxtError(
                    f"{where}: padding layer {padding.layer.name!r} and its consumer need one "
                    f"bottom each, got {len(padding.bottom)} and {len(entry.bottom)}"
                )
            if len(padding.top) != 1:
                raise PrototxtError(
                    f"{where}: padding layer {padding.layer.name!r} makes one top, got "
                    f"{len(padding.top)}"
                )
            entry.layer.pad = padding.layer.pad
            entry.bottom[i] = padding.bottom[0]
        for top in entry.top:
            producer[top] = entry
        if entry.layer.type != "padding":
            kept.append(entry)
    return kept


def _where(entry, source: str) -> str:
    return f'{source}: layer "{entry.layer.name or entry.name}"'


def _copy(source, target, name: str) -> None:
    """Copies one field if it is set: scalar, repeated or message."""
    for field, value in source.ListFields():
        if field.name == name:
            _assign(target, name, value)


def _assign(target, name: str, value) -> None:
    """Sets a scalar, a sub-message, or a repeated field (from a list, or one element)."""
    current = getattr(target, name)
    if hasattr(current, "extend"):
        current.extend(value if hasattr(value, "extend") else [value])
    elif hasattr(current, "CopyFrom"):
        current.CopyFrom(value)
    else:
        setattr(target, name, value)
