"""Older model formats, brought up to the present one in place.

Three generations of net files exist: V0 (2013, see :mod:`caffe.prototxt.upgrade_v0`), V1 (2014,
entries ``layers`` with an enum for the type) and the present one (``layer``).  Besides, `input`
fields became Input layers, the multipliers of BatchNorm's statistics are forced to zero, and types
as old forks wrote them get their present names (:mod:`caffe.prototxt.foreign_types`).  Solver files
lost ``solver_type`` to ``type``.

The same steps serve prototxts and binary weights.  Nets written inside a solver
(``train_net_param`` …) are used as they are, in BVLC Caffe as here.
"""

from __future__ import annotations

import os

from caffe import glog
from caffe.errors import PrototxtError
from caffe.proto import caffe_pb2
from caffe.prototxt import crop_offsets, foreign_types
from caffe.prototxt.upgrade_v0 import upgrade_v0

__all__ = ["net_needs_upgrade", "upgrade_net", "upgrade_solver", "upgrade_solver_type"]

# V1's enum → V2's type string, where it is not the enum's words capitalised (INNER_PRODUCT →
# InnerProduct).
V1_TYPES = {
    "NONE": "",
    "ABSVAL": "AbsVal",
    "ARGMAX": "ArgMax",
    "BN": "BN",
    "BNLL": "BNLL",
    "DENSE_CRF": "DenseCRF",
    "HDF5_DATA": "HDF5Data",
    "HDF5_OUTPUT": "HDF5Output",
    "IM2COL": "Im2col",
    "LRN": "LRN",
    "MVN": "MVN",
    "RELU": "ReLU",
    "ROI_POOLING": "ROIPooling",
    "SMOOTH_L1_LOSS": "SmoothL1Loss",
    "SOFTMAX_LOSS": "SoftmaxWithLoss",
    "TANH": "TanH",
}

# V1 data layers and the message where they kept what is now in transform_param.
V1_DATA_PARAM = {
    "DATA": "data_param",
    "DENSE_IMAGE_DATA": "dense_image_data_param",
    "IMAGE_DATA": "image_data_param",
    "IMAGE_SEG_DATA": "image_data_param",
    "WINDOW_DATA": "window_data_param",
}
V1_TRANSFORM_FIELDS = ("scale", "mean_file", "crop_size", "mirror")

# V1 lists that became fields of V2's ParamSpec.
V1_PARAM_SPEC = {
    "param": "name",
    "blob_share_mode": "share_mode",
    "blobs_lr": "lr_mult",
    "weight_decay": "decay_mult",
}

SOLVER_TYPES = {
    "SGD": "SGD",
    "NESTEROV": "Nesterov",
    "ADAGRAD": "AdaGrad",
    "RMSPROP": "RMSProp",
    "ADADELTA": "AdaDelta",
    "ADAM": "Adam",
}


def upgrade_net(net: caffe_pb2.NetParameter, source: str = "<net>") -> bool:
    """Brings a net that was read from a file, text or binary, to the present format, in place.

    Args:
        net: any generation; a net in the present format stays as it is.
        source: the file, for messages.

    Returns:
        True; False where fields of a V0 net have no place in the present format and were dropped.

    Raises:
        PrototxtError: two generations mixed in one file, or a V0 layer type that never existed.
    """
    crops: set[int] = set()  # by number: those that find their offset by themselves
    complete = True
    if any(entry.HasField("layer") for entry in net.layers):
        glog.info("upgrade_proto", f"{source}: upgrading from V0LayerParameter")
        _refuse_mixture(net, source)
        complete = upgrade_v0(net, source)
    if net.layers:
        glog.info("upgrade_proto", f"{source}: upgrading from V1LayerParameter")
        _refuse_mixture(net, source)
        _move_transformations(net)
        crops = {
            number
            for number, layer in enumerate(net.layers)
            if layer.type == layer.CROP and not layer.HasField("crop_param")
        }
        _upgrade_v1(net)
    count = len(net.layer)
    if net.input:
        glog.info("upgrade_proto", f"{source}: turning input fields into an Input layer")
        _upgrade_input(net, source)
    foreign_types.rename_enum_names(net, source, v1_type_name)
    if crops:  # counted without the Input layer, which may now stand first
        added = len(net.layer) - count
        crop_offsets.set_crop_offsets(net, {number + added for number in crops}, source)
    _freeze_batch_norm(net)
    return complete


def net_needs_upgrade(net: caffe_pb2.NetParameter) -> bool:
    """Whether :func:`upgrade_net` has something to change that an older program wrote."""
    upgraded = caffe_pb2.NetParameter()
    upgraded.CopyFrom(net)
    _freeze_batch_norm(upgraded)
    foreign = foreign_types.has_enum_names(net, v1_type_name)
    return bool(net.layers or net.input) or foreign or upgraded != net


def upgrade_solver_type(solver: caffe_pb2.SolverParameter, source: str = "<solver>") -> bool:
    """Turns the enum ``solver_type`` of a solver into ``type``, in place; True.

    Raises:
        PrototxtError: both are given.
    """
    if solver.HasField("solver_type"):
        if solver.HasField("type"):
            raise PrototxtError(
                f"{source}: both solver_type (old) and type (new) are given; keep `type`"
            )
        solver.type = SOLVER_TYPES[solver.SolverType.Name(solver.solver_type)]
        solver.ClearField("solver_type")
        glog.info("upgrade_proto", f'{source}: solver_type is now `type: "{solver.type}"`')
    return True


def upgrade_solver(solver: caffe_pb2.SolverParameter, source: str = "<solver>") -> None:
    """Brings a solver description read from the file ``source`` to the present format, in place.

    ``solver_type`` becomes ``type``.  A ``snapshot_prefix`` that is unset becomes the solver's path
    without its extension; one that names an existing directory gets the solver's base name.

    Raises:
        PrototxtError: both ``solver_type`` and ``type`` are given.
    """
    upgrade_solver_type(solver, source)
    stem = os.path.splitext(source)[0]
    if not solver.HasField("snapshot_prefix"):
        solver.snapshot_prefix = stem
    elif os.path.isdir(solver.snapshot_prefix):
        solver.snapshot_prefix = os.path.join(solver.snapshot_prefix, os.path.basename(stem))


def v1_type_name(type_number: int) -> str:
    """Returns the present type string of a V1 layer type: 21 (SOFTMAX_LOSS) → SoftmaxWithLoss."""
    name = caffe_pb2.V1LayerParameter.LayerType.Name(type_number)
    return V1_TYPES.get(name, name.title().replace("_", ""))


def _refuse_mixture(net, source: str) -> None:
    if net.layer:
        raise PrototxtError(
            f"{source}: both `layers` (old, first: {_first_name(net.layers)}) and `layer` (new, "
            f"first: {_first_name(net.layer)}) in one file; write all of them as `layer`"
        )


def _first_name(layers) -> str:
    first = layers[0]
    old = first.DESCRIPTOR.name == "V1LayerParameter" and first.HasField("layer")
    return f'"{first.layer.name if old else first.name}"'


def _move_transformations(net) -> None:
    """Moves scale, mean_file, crop_size and mirror of V1 data layers to transform_param.

    WindowData still reads its own `scale` in BVLC Caffe, so moving it turns it off there; that is
    its behaviour and is kept.
    """
    for layer in net.layers:
        param_name = V1_DATA_PARAM.get(layer.LayerType.Name(layer.type))
        if param_name is None or not layer.HasField(param_name):
            continue
        param = getattr(layer, param_name)
        for name in V1_TRANSFORM_FIELDS:
            if param.HasField(name):
                setattr(layer.transform_param, name, getattr(param, name))
                param.ClearField(name)


def _upgrade_v1(net) -> None:
    """Turns each of `layers` into one of `layer`."""
    for old in net.layers:
        new = net.layer.add()
        for field, value in old.ListFields():
            if field.name == "type":
                new.type = v1_type_name(value)
            elif field.name in V1_PARAM_SPEC:
                while len(new.param) < len(value):
                    new.param.add()
                for spec, item in zip(new.param, value):
                    setattr(spec, V1_PARAM_SPEC[field.name], item)
            elif hasattr(value, "extend"):
                getattr(new, field.name).extend(value)
            elif hasattr(value, "CopyFrom"):
                getattr(new, field.name).CopyFrom(value)
            else:
                setattr(new, field.name, value)
    net.ClearField("layers")


def _upgrade_input(net, source: str) -> None:
    """Replaces input, input_shape and input_dim by one Input layer, put first.

    Inputs without any shape (old weight files) are only dropped: such a net cannot be built, but
    its weights can be copied.
    """
    count = len(net.input)
    if net.input_shape and len(net.input_shape) != count:
        raise PrototxtError(
            f"{source}: {count} input, but {len(net.input_shape)} input_shape; write one for each"
        )
    if net.input_dim and not net.input_shape and len(net.input_dim) != 4 * count:
        raise PrototxtError(
            f"{source}: {count} input, but {len(net.input_dim)} input_dim; write four for each"
        )
    if net.input_shape or net.input_dim:
        layers = [caffe_pb2.LayerParameter(name="input", type="Input", top=net.input)]
        shapes = layers[0].input_param.shape
        if net.input_shape:
            shapes.extend(net.input_shape)
        else:
            for i in range(count):
                shapes.add().dim.extend(net.input_dim[4 * i : 4 * i + 4])
        layers.extend(net.layer)
        net.ClearField("layer")
        net.layer.extend(layers)
    for name in ("input", "input_shape", "input_dim"):
        net.ClearField(name)


def _freeze_batch_norm(net) -> None:
    """Zeroes the multipliers of BatchNorm's three blobs, running statistics that are not learned.

    Only where all three are given: unset ones are zeroed by the layer itself.
    """
    for layer in net.layer:
        if layer.type == "BatchNorm" and len(layer.param) == 3:
            for spec in layer.param:
                spec.lr_mult = 0.0
                spec.decay_mult = 0.0
