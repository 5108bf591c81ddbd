"""Nets written as Python: ``layers`` makes tops from tops, ``NetSpec`` names them.

>>> from caffe.net_spec import NetSpec, layers as L, params as P
>>> n = NetSpec()
>>> n.data = L.Input(shape=dict(dim=[1, 3, 8, 8]))
>>> n.conv1 = L.Convolution(n.data, num_output=4, kernel_size=3, weight_filler=dict(type="msra"))
>>> n.relu1 = L.ReLU(n.conv1, in_place=True)
>>> n.pool1 = L.Pooling(n.relu1, pool=P.Pooling.AVE, kernel_size=2, stride=2)
>>> [(layer.name, list(layer.bottom), list(layer.top)) for layer in n.to_proto().layer][2:]
[('relu1', ['conv1'], ['conv1']), ('pool1', ['conv1'], ['pool1'])]

Any layer type can be named; its parameters are checked against :mod:`caffe.proto.caffe_pb2` when
the net is turned into a message.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any

from google.protobuf.message import Message

from caffe.hints import did_you_mean
from caffe.proto import caffe_pb2

__all__ = [
    "Function",
    "Layers",
    "NetSpec",
    "Parameters",
    "Top",
    "assign_proto",
    "layers",
    "param_name_dict",
    "params",
    "to_proto",
]


def param_name_dict() -> dict[str, str]:
    """Maps the stem of each parameter message to that of its field in LayerParameter.

    ``InnerProduct`` (from InnerProductParameter) → ``inner_product`` (from inner_product_param).
    The stems are mostly layer types; types that share a message (Deconvolution) are not in it.
    """
    return {
        field.message_type.name[: -len("Parameter")]: field.name[: -len("_param")]
        for field in caffe_pb2.LayerParameter.DESCRIPTOR.fields
        if field.message_type is not None and field.name.endswith("_param")
    }


_PARAM_NAMES = param_name_dict()


def to_proto(*tops: Top) -> caffe_pb2.NetParameter:
    """Returns the net that makes ``tops``; all blobs get automatic names (``ReLU1``)."""
    built: Built = OrderedDict()
    autonames: Counter[str] = Counter()
    for top in tops:
        top._to_proto(built, {}, autonames)
    return caffe_pb2.NetParameter(layer=built.values())


def assign_proto(proto: Message, name: str, val: Any) -> None:
    """Sets the field ``name`` of ``proto`` from plain Python data.

    A dict fills a sub-message, a list a repeated field, a list of dicts repeated sub-messages; a
    single value for a repeated field is a list of one.

    Raises:
        AttributeError: the message has no such field (its name is the error's ``name`` too).
        TypeError: a value of the wrong kind.
        IndexError: an empty list, which would say nothing.
    """
    field = proto.DESCRIPTOR.fields_by_name.get(name)
    if field is None:
        raise _no_field(name, proto.DESCRIPTOR)
    current = getattr(proto, name)
    if hasattr(current, "extend") and not isinstance(val, list):
        val = [val]
    if isinstance(val, dict):
        if field.message_type is None:
            raise _wrong_kind(proto, name, val)
        for key, item in val.items():
            assign_proto(current, key, item)
    elif isinstance(val, list):
        _assign_list(proto, name, val)
    elif field.enum_type is not None and isinstance(val, str):
        raise _wrong_kind(proto, name, val)
    else:
        try:
            setattr(proto, name, val)
        except (TypeError, AttributeError) as error:
            raise _wrong_kind(proto, name, val) from error


def _assign_list(proto: Message, name: str, values: list[Any]) -> None:
    if not values:
        raise IndexError(f"empty list for {proto.DESCRIPTOR.name}.{name}: leave the argument out")
    current = getattr(proto, name)
    if not hasattr(current, "extend"):
        raise AttributeError(
            f"{proto.DESCRIPTOR.name}.{name} takes one value, got a list: {values!r}", name=name
        )
    if isinstance(values[0], dict) and hasattr(current, "add"):
        for item in values:
            element = current.add()
            for key, value in item.items():
                assign_proto(element, key, value)
        return
    try:
        current.extend(values)
    except TypeError as error:
        raise _wrong_kind(proto, name, values) from error


def _no_field(name: str, *descriptors: Any) -> AttributeError:
    known = [field for descriptor in descriptors for field in descriptor.fields_by_name]
    where = " nor ".join(descriptor.name for descriptor in descriptors)
    return AttributeError(f'no field "{name}" in {where}.{did_you_mean(name, known)}', name=name)


def _wrong_kind(proto: Message, name: str, value: Any) -> TypeError:
    field = proto.DESCRIPTOR.fields_by_name[name]
    if field.enum_type is not None:
        message = proto.DESCRIPTOR.name.removesuffix("Parameter")
        expected = f"an enum value such as params.{message}.{field.enum_type.values[0].name}"
    elif field.message_type is not None:
        expected = f"a dict of {field.message_type.name}'s fields"
    else:
        kinds = {v: k for k, v in vars(type(field)).items() if k.startswith("TYPE_")}
        expected = kinds.get(field.type, "another type").removeprefix("TYPE_").lower()
    return TypeError(
        f"{proto.DESCRIPTOR.name}.{name} takes {expected}, got {value!r} ({type(value).__name__})"
    )


Built = dict["Function", caffe_pb2.LayerParameter]  # what is made so far
Names = dict["Top | Function", str]


class Top:
    """One output of a layer, to be fed to other layers.

    Attributes:
        fn: the Function that makes it.
        n: its number among that function's tops.
    """

    def __init__(self, fn: Function, n: int) -> None:
        self.fn = fn
        self.n = n

    def to_proto(self) -> caffe_pb2.NetParameter:
        """Returns the net that ends in this top, with automatic names."""
        return to_proto(self)

    def _to_proto(
        self,
        built: Built,
        names: Names,
        autonames: Counter[str],
    ) -> None:
        self.fn._to_proto(built, names, autonames)


class Function:
    """One layer: its type, its bottoms and its parameters.

    Attributes:
        type_name: the layer type.
        inputs: the bottoms, Tops.
        params: the keyword arguments, without ``ntop`` and ``in_place``.
        ntop: how many tops it makes.
        in_place: whether its tops are its bottoms.
        tops: the Tops it makes.

    Raises:
        TypeError: an input that is not a Top.
    """

    def __init__(self, type_name: str, inputs: tuple[Top, ...], params: dict[str, Any]) -> None:
        for index, top in enumerate(inputs):
            if not isinstance(top, Top):
                raise TypeError(f"{type_name} input {index} is not a Top (type is {type(top)})")
        self.type_name = type_name
        self.inputs = inputs
        self.params = dict(params)
        self.ntop = self.params.pop("ntop", 1)
        self.in_place = self.params.pop("in_place", False)
        self.tops = tuple(Top(self, n) for n in range(self.ntop))

    def _to_proto(
        self,
        built: Built,
        names: Names,
        autonames: Counter[str],
    ) -> None:
        """Adds this layer to ``built``, after the layers it needs, each at its first use.

        Depth first, with a stack of its own: a net may be deeper than Python's recursion limit.
        """
        stack = [self]
        while stack:
            function = stack[-1]
            waits_for = next((top.fn for top in function.inputs if top.fn not in built), None)
            if function in built:
                stack.pop()
            elif waits_for is not None:
                stack.append(waits_for)
            else:
                built[function] = function._layer(built, names, autonames)
                stack.pop()

    def _layer(
        self,
        built: Built,
        names: Names,
        autonames: Counter[str],
    ) -> caffe_pb2.LayerParameter:
        """Makes the layer's message; the layers of all inputs are in ``built``."""
        layer = caffe_pb2.LayerParameter(type=self.type_name)
        layer.bottom.extend(built[top.fn].top[top.n] for top in self.inputs)
        if self.in_place:
            layer.top.extend(layer.bottom)
        else:
            layer.top.extend(self._top_name(top, names, autonames) for top in self.tops)
        layer.name = self._name(names, autonames)
        for key, value in self.params.items():
            try:
                self._assign(layer, key, value)
            except (AttributeError, TypeError, IndexError) as error:
                name = self.params.get("name", layer.name)
                raise type(error)(f'layer "{name}" ({self.type_name}): {error}') from error
        return layer

    def _assign(self, layer: caffe_pb2.LayerParameter, key: str, value: Any) -> None:
        """Sets one parameter: a field of the type's own message, or else of the layer."""
        own = f"{_PARAM_NAMES.get(self.type_name)}_param"
        own_message = getattr(layer, own) if hasattr(layer, own) else None
        if key.endswith("param") or own_message is None:
            assign_proto(layer, key, value)
        elif key in own_message.DESCRIPTOR.fields_by_name:
            assign_proto(own_message, key, value)
        elif key in layer.DESCRIPTOR.fields_by_name:
            assign_proto(layer, key, value)
        else:
            raise _no_field(key, own_message.DESCRIPTOR, layer.DESCRIPTOR)

    def _name(self, names: Names, autonames: Counter[str]) -> str:
        """The layer's name: its own in the NetSpec, its first top's, or an automatic one."""
        if self not in names:
            if self.ntop > 0:
                names[self] = self._top_name(self.tops[0], names, autonames)
            else:
                names[self] = _autoname(self.type_name, autonames)
        return names[self]

    def _top_name(self, top: Top, names: Names, autonames: Counter[str]) -> str:
        if top not in names:
            names[top] = _autoname(self.type_name, autonames)
        return names[top]


def _autoname(type_name: str, autonames: Counter[str]) -> str:
    autonames[type_name] += 1
    return f"{type_name}{autonames[type_name]}"


class MissingTopError(KeyError, AttributeError):
    """A name that no top was given: a KeyError as in pycaffe, and what ``hasattr`` expects."""


class NetSpec:
    """A net under construction: attributes are its tops, and their names those of the blobs.

    ``n.conv1 = …`` and ``n["conv1"] = …`` do the same; the latter also takes names that are no
    identifiers (``n["loss/x"]``).  Layers without tops can be assigned too, to keep them.

    Raises:
        MissingTopError: reading a name that was not set.
        TypeError: setting something that no layer made.
    """

    tops: OrderedDict[str, Top | Function]

    def __init__(self) -> None:
        super().__setattr__("tops", OrderedDict())

    def __setattr__(self, name: str, value: Top | Function) -> None:
        if not isinstance(value, (Top, Function)):
            raise TypeError(
                f"NetSpec.{name} must be made by a layer (a Top, or a layer with ntop=0), "
                f"got {type(value).__name__}"
            )
        self.tops[name] = value

    def __getattr__(self, name: str) -> Any:
        tops: dict[str, Top | Function] = self.__dict__.get("tops", {})
        if name not in tops:
            raise MissingTopError(name)
        return tops[name]

    __setitem__ = __setattr__
    __getitem__ = __getattr__

    def to_proto(self) -> caffe_pb2.NetParameter:
        """Returns the net: every named top and what it needs, in order of dependence."""
        names = {top: name for name, top in self.tops.items()}
        built: Built = OrderedDict()
        autonames: Counter[str] = Counter()
        for top in self.tops.values():
            top._to_proto(built, names, autonames)
        return caffe_pb2.NetParameter(layer=built.values())


class Layers:
    """``layers.X(*bottoms, **params)`` makes a layer of type X; see :data:`layers`."""

    # A Top, a tuple of Tops or a Function, as ntop says: no type checker can tell which.
    def __getattr__(self, type_name: str) -> Callable[..., Any]:
        if type_name.startswith("__"):
            raise AttributeError(type_name)  # asked by inspect, copy and the like; no layer type

        def layer(*inputs: Top, **params: Any) -> Top | tuple[Top, ...] | Function:
            function = Function(type_name, inputs, params)
            if function.ntop == 0:
                return function
            return function.tops[0] if function.ntop == 1 else function.tops

        layer.__name__ = layer.__qualname__ = type_name
        return layer


class Parameters:
    """``params.Pooling.MAX``: the value of an enum in PoolingParameter; see :data:`params`."""

    def __getattr__(self, name: str) -> _EnumValues:
        message = getattr(caffe_pb2, f"{name}Parameter", None)
        if message is None:
            hint = did_you_mean(name, _PARAM_NAMES)
            raise AttributeError(f'no message "{name}Parameter" in caffe.proto.{hint}', name=name)
        return _EnumValues(message)


class _EnumValues:
    """The enum values of one message as attributes."""

    def __init__(self, message: type[Message]) -> None:
        self._message = message

    def __getattr__(self, name: str) -> int:
        known = {
            value.name: value.number
            for enum in self._message.DESCRIPTOR.enum_types
            for value in enum.values
        }
        if name not in known:
            raise AttributeError(
                f'no enum value "{name}" in {self._message.DESCRIPTOR.name} '
                f"(known: {', '.join(known) or 'none'})",
                name=name,
            )
        return known[name]


layers = Layers()
params = Parameters()
