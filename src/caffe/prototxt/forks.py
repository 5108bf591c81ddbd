"""What forks of Caffe define beyond BVLC's: their layer types, and the fields of these.

A layer of a type that only a fork has cannot run here, but the net that holds it can be read,
drawn and upgraded, and runs in the phase that does without it.  So such a layer's own settings are
left out when a prototxt is parsed, with one warning a type, and messages name the fork.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from typing import Any

from caffe.proto import caffe_pb2
from caffe.prototxt.scan import Entry

__all__ = [
    "SETTINGS",
    "TYPES",
    "WHY",
    "ForeignFieldWarning",
    "names_type",
    "origin_of_enum",
    "origin_of_field",
    "origin_of_type",
    "settings_of_fork_layers",
]


class ForeignFieldWarning(UserWarning):
    """A field that BVLC Caffe does not have was read as one that it has, or left out."""


# Layer types of forks, which this engine does not have: who defined them.
TYPES = {
    "DeepLab": (
        "DomainTransform",
        "UniqueLabel",
    ),
    "PSPNet": ("SegmentData",),
    "FlowNet": ("CustomData",),
    "converters from Darknet (YOLO)": ("Region", "Yolo"),
    "NVIDIA Caffe": ("DetectNetTransformation",),
    "forks with layers of geometry": ("Remap",),
    "nets for faces": ("MarginInnerProduct", "LargeMarginInnerProduct"),
    "forks of YOLO": ("RegionLoss", "Yolov3", "YoloDetectionOutput"),
    "several forks": ("FocalLoss", "DeformableConvolution", "ConvLSTM", "MMDLoss", "WarpCTCLoss"),
    "convolutional pose machines": ("CPMData", "ImResize", "Nms"),
    "forks for videos": ("Convolution3D", "Pooling3D", "NdConvolution", "NdPooling"),
}

# Why each of them is not here.
_TRAINING = "of use in training alone; leave it out of nets that only run"
_MACHINES = "reads and changes pictures of poses; run the net from its pictures to its maps"
_VOLUMES = "Convolution works on volumes as well; of pooling there is Reduction over an axis"
WHY = {
    "CPMData": _MACHINES,
    "ConvLSTM": "defined differently from fork to fork",
    "Convolution3D": _VOLUMES,
    "DeformableConvolution": "windows whose places are moved by offsets; not implemented",
    "FocalLoss": "defined differently from fork to fork, by a sigmoid or a softmax",
    "ImResize": _MACHINES,
    "LargeMarginInnerProduct": _TRAINING,
    "MMDLoss": _TRAINING,
    "MarginInnerProduct": _TRAINING,
    "NdConvolution": _VOLUMES,
    "NdPooling": _VOLUMES,
    "Nms": _MACHINES,
    "Pooling3D": _VOLUMES,
    "RegionLoss": _TRAINING,
    "WarpCTCLoss": "CTCLoss and CtcLoss compute the same from other bottoms",
    "YoloDetectionOutput": "decodes boxes after the net, of YOLO v2; decode them from its bottom",
    "Yolov3": _TRAINING,
    "CustomData": "reads FlowNet's own databases; HDF5Data reads pairs of pictures and their flow",
    "DetectNetTransformation": _TRAINING,
    "DomainTransform": "a recursive filter that only DeepLab's nets with edges have",
    "Region": "decodes boxes after the net; decode them from its bottom",
    "Remap": "what it computes is not documented",
    "SegmentData": "not documented; DenseImageData and ImageSegData read the same pictures",
    "UniqueLabel": "of use with a CRF in training alone",
    "Yolo": "decodes boxes after the net; decode them from its bottoms",
}

# A layer's own message, by its field in LayerParameter: the type that it belongs to.
SETTINGS = {
    "domain_transform_param": "DomainTransform",
}

_ALL = sorted({name for types in TYPES.values() for name in types})
_TYPE = re.compile("[\"'](?:" + "|".join(_ALL) + ")[\"']")
_INSTEAD = "write it as a Python layer, or take it out where the task allows"


def names_type(text: str) -> bool:
    """Whether a prototxt may hold a layer of a fork's type."""
    return _TYPE.search(text) is not None


def _forks_of(type_name: str) -> str:
    return " and of ".join(fork for fork, types in TYPES.items() if type_name in types)


def origin_of_type(type_name: str) -> str:
    """A sentence that names the fork of a layer type, empty where it is no known fork's."""
    forks = _forks_of(type_name)
    if not forks:
        return ""
    return f" It is a layer of {forks}, not of BVLC Caffe, and is not implemented here: {_INSTEAD}."


def origin_of_enum(value: str) -> str:
    """:func:`origin_of_type` for a value of the old enum, as ROI_POOLING."""
    for name in _ALL:
        if name.casefold() == value.replace("_", "").casefold():
            return f" {value} stands for {name}.{origin_of_type(name)}"
    return ""


def origin_of_field(name: str, message: str) -> str:
    """A sentence that names the fork of a field of the message type, empty where none is known."""
    if message in ("LayerParameter", "V1LayerParameter") and name in SETTINGS:
        kind = SETTINGS[name]
        return (
            f" It holds the settings of {kind}, a layer of {_forks_of(kind)}, which BVLC Caffe "
            f'does not have: give the layer type: "{kind}", or take the field out.'
        )
    return ""


def settings_of_fork_layers(layers: list[Entry], source: str) -> list[Entry]:
    """The fields unknown here of the layers whose type only a fork has; one warning a type."""
    found: dict[str, list[tuple[Entry, list[Entry]]]] = {}
    for layer in layers:
        kinds = [e.values[0].strip("\"'") for e in layer.children if e.name == "type" and e.values]
        if kinds and _forks_of(kinds[0]):
            unknown = list(_unknown(layer, caffe_pb2.LayerParameter.DESCRIPTOR))
            if unknown:
                found.setdefault(kinds[0], []).append((layer, unknown))
    for kind, uses in found.items():
        layer, unknown = uses[0]
        more = f" (and {len(uses) - 1} more)" if len(uses) > 1 else ""
        fields = ", ".join(sorted({entry.name for _, entries in uses for entry in entries}))
        warnings.warn(
            f"{source}:{unknown[0].line}:{unknown[0].column}: layer {_name(layer)}{more} is of the "
            f"type {kind}, a layer of {_forks_of(kind)} that is not implemented here. Its settings "
            f"({fields}) are left out; a net in a phase that needs the layer cannot be built.",
            ForeignFieldWarning,
            stacklevel=3,
        )
    return [entry for uses in found.values() for _, entries in uses for entry in entries]


def _unknown(message: Entry, descriptor: Any) -> Iterator[Entry]:
    for entry in message.children:
        field = descriptor.fields_by_name.get(entry.name)
        if field is None:
            yield entry
        elif field.message_type is not None:
            yield from _unknown(entry, field.message_type)


def _name(layer: Entry) -> str:
    names = [e.values[0] for e in layer.children if e.name == "name" and e.values]
    return names[0] if names else "without a name"
