"""The message classes and enums of caffe.proto, as a protoc-generated module would offer them.

They are built at import from ``caffe_descriptor.bin`` (see :mod:`caffe.proto.build`), in a
descriptor pool of their own: any protobuf runtime from 4.21 on will do, and another ``caffe.proto``
in the same process (ONNX converters and old model tools carry one) does not clash.

``NetParameter``, ``LayerParameter`` … are classes; ``TRAIN`` and ``TEST`` the values of ``Phase``;
``DESCRIPTOR`` is the file's descriptor and ``_LAYERPARAMETER`` … those of the messages.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.internal import enum_type_wrapper

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor
    from google.protobuf.message import Message

_POOL = descriptor_pool.DescriptorPool()


def _load():
    """Registers the file in the private pool; returns its FileDescriptor."""
    content = (Path(__file__).with_name("caffe_descriptor.bin")).read_bytes()
    file = descriptor_pb2.FileDescriptorProto.FromString(content)
    _POOL.Add(file)
    return _POOL.FindFileByName(file.name)


def _message_class(descriptor: Descriptor) -> type[Message]:
    """Returns the class of a message type; protobuf before 4.22 knows only the second way."""
    if hasattr(message_factory, "GetMessageClass"):
        cls = message_factory.GetMessageClass(descriptor)
    else:
        cls = _FACTORY.GetPrototype(descriptor)
    cls.__module__ = __name__  # pickle and copyreg look the class up by its module
    return cls


if not hasattr(message_factory, "GetMessageClass"):
    _FACTORY = message_factory.MessageFactory(_POOL)

DESCRIPTOR = _load()

for _name, _descriptor in DESCRIPTOR.message_types_by_name.items():
    globals()[_name] = _message_class(_descriptor)
    globals()[f"_{_name.upper()}"] = _descriptor
    for _enum in _descriptor.enum_types:
        globals()[f"_{_name.upper()}_{_enum.name.upper()}"] = _enum

for _name, _enum in DESCRIPTOR.enum_types_by_name.items():
    globals()[_name] = enum_type_wrapper.EnumTypeWrapper(_enum)
    globals()[f"_{_name.upper()}"] = _enum
    globals().update({_value.name: _value.number for _value in _enum.values})

del _name, _descriptor, _enum
