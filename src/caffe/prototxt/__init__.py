"""Reading nets and solvers in protobuf's text format (prototxt).

The format is read as strictly as BVLC Caffe reads it: an unknown field, an unknown enum value, a
scalar given twice or a missing required field is an error, except for the fields of old forks that
:mod:`caffe.prototxt.foreign` translates.  Where BVLC aborts with a line number,
a :class:`~caffe.errors.PrototxtError` names file, line and column, the layer, the field, and the
nearest names that exist.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, TypeVar

from google.protobuf import text_format

from caffe.errors import PrototxtError
from caffe.hints import did_you_mean, nearest
from caffe.proto import caffe_pb2
from caffe.prototxt import foreign, fork_fields, forks
from caffe.prototxt.scan import Scope, opening_of, scopes_at, tokens
from caffe.prototxt.upgrade import upgrade_net, upgrade_solver

if TYPE_CHECKING:
    from google.protobuf.descriptor import FieldDescriptor
    from google.protobuf.message import Message

    M = TypeVar("M", bound=Message)
else:
    M = TypeVar("M")

__all__ = ["parse_text", "read_net", "read_solver"]


def read_net(path: str | os.PathLike[str]) -> caffe_pb2.NetParameter:
    """Reads a net, of any generation, and upgrades it to the present format.

    Raises:
        PrototxtError: the file is missing, unreadable, or no valid net.
    """
    net = read_message(path, caffe_pb2.NetParameter())
    upgrade_net(net, os.fspath(path))
    return net


def read_solver(path: str | os.PathLike[str]) -> caffe_pb2.SolverParameter:
    """Reads a solver and upgrades it; ``snapshot_prefix`` is set in the result.

    Nets written inside the solver are left as they are, as in BVLC Caffe.

    Raises:
        PrototxtError: the file is missing, unreadable, or no valid solver.
    """
    solver = read_message(path, caffe_pb2.SolverParameter())
    upgrade_solver(solver, os.fspath(path))
    return solver


def read_message(path: str | os.PathLike[str], message: M) -> M:
    """Reads a text file into ``message`` as it stands, without upgrading it; returns it."""
    path = os.fspath(path)
    kind = message.DESCRIPTOR.name
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        raise PrototxtError(
            f"Could not open file {path}: {error.strerror or error} (a {kind} was to be read "
            f"from it; the working directory is {os.getcwd()})"
        ) from error
    if b"\0" in content:
        raise PrototxtError(
            f"Failed to parse {kind} file: {path} is binary, not text. A caffemodel belongs in "
            "the place of the weights, the prototxt in that of the model"
        )
    # Bytes that are no UTF-8 are common in comments (Latin-1, GBK) and harmless there.
    return parse_text(content.decode("utf-8-sig", "surrogateescape"), message, path)


def parse_text(text: str, message: M, source: str = "<string>") -> M:
    """Parses ``text`` into ``message`` (added to what it holds) and returns it.

    Args:
        text: a prototxt.
        message: any message of :mod:`caffe.proto.caffe_pb2`.
        source: the file's name, for error messages.

    Raises:
        PrototxtError: naming ``source``, line and column, the field and the nearest known one.

    >>> parse_text('layer { nmae: "conv1" }', caffe_pb2.NetParameter(), "net.prototxt")
    Traceback (most recent call last):
    ...
    caffe.errors.PrototxtError: net.prototxt:1:9: Message type "caffe.LayerParameter" has no field \
named "nmae" (in layer[0]). Did you mean "name"?
    """
    if not text.isascii() or "+" in text or "\\" in text:
        _check_characters(text, source)
    if _LOOSE.search(text):
        text = _as_python_reads(text)
    text = foreign.translate(text, source)
    try:
        text_format.Parse(text, message)
    except text_format.ParseError as error:
        raise PrototxtError(_explain(error, text, message.DESCRIPTOR, source)) from None
    missing: list[str] = message.FindInitializationErrors()  # type: ignore[attr-defined]  # no stub
    if missing:
        raise PrototxtError(_explain_missing(missing[0], text, message, source))
    return message


# What protobuf's C++ parser takes and its Python parser does not.
_LOOSE = re.compile(r"-[ \t\r\n\f\v#]|\\\?")


def _as_python_reads(text: str) -> str:
    """The text with each minus sign at its number, and ``?`` without a backslash in strings.

    Everything else stays in its line and column.
    """
    parts, done = [], 0
    minus = None
    for token in tokens(text):
        new = token.text
        if minus is not None and token.kind == "word" and token.line == minus.line:
            parts += [text[done : minus.start], " " * (token.start - minus.start - 1), "-"]
            done = token.start
        minus = token if token.text == "-" else None
        if token.kind == "string":
            new = re.sub(r"\\(.)", lambda m: "?" if m[1] == "?" else m[0], new, flags=re.DOTALL)
        if new != token.text:
            parts += [text[done : token.start], new]
            done = token.end
    return "".join([*parts, text[done:]])


# A backslash may stand before these alone: the rule of protobuf's C++ parser.
_BAD_ESCAPE = re.compile(
    r"""(?:[^\\]|\\(?:[abfnrtv\\?'"0-7]|[xX][0-9a-fA-F]|u[0-9a-fA-F]{4}|U00[01][0-9a-fA-F]{5}))*?"""
    r"""(\\(?![abfnrtv\\?'"0-7]|[xX][0-9a-fA-F]|u[0-9a-fA-F]{4}|U00[01][0-9a-fA-F]{5}).?)""",
    re.DOTALL,
)


def _check_characters(text: str, source: str) -> None:
    """Refuses what protobuf's Python parser lets pass and its C++ parser does not."""
    for token in tokens(text):
        if token.kind == "bad":
            raise PrototxtError(
                f"{source}:{token.line}:{token.column}: the character {token.text!r} "
                f"(U+{ord(token.text):04X}) outside strings and comments; often a no-break space "
                "or a typographic quote that a web page or word processor put in"
            )
        if any("\udc80" <= c <= "\udcff" for c in token.text):
            raise PrototxtError(
                f"{source}:{token.line}:{token.column}: a string that is not valid UTF-8; save "
                "the file as UTF-8"
            )
        if token.kind == "word" and token.text.startswith("+"):
            raise PrototxtError(
                f"{source}:{token.line}:{token.column}: {token.text}: a number has no plus sign "
                "in a prototxt; leave it out"
            )
        escape = _BAD_ESCAPE.match(token.text) if token.kind == "string" else None
        if escape:
            raise PrototxtError(
                f"{source}:{token.line}:{token.column}: the string {token.text} has the escape "
                f"sequence {escape.group(1)}, which prototxts do not know. A path is written with "
                "slashes, or with each backslash twice"
            )


def _explain(error: text_format.ParseError, text: str, root: Any, source: str) -> str:
    """Turns protobuf's message into ours: position, what, in which layer, what exists instead."""
    line, column = error.GetLine() or 1, error.GetColumn() or 1
    what = re.sub(r"^(\d+:\d+ : )?('.*?(?<!\\)': )?", "", str(error), count=1, flags=re.DOTALL)
    scopes = scopes_at(text, line, column)
    descriptor = _descriptor_of(scopes, root)
    name = scopes[-1].last_field
    hint = ""
    unknown = re.search(r'has no field named "(.*?)"', what)
    if unknown and descriptor is not None:
        name = unknown.group(1)
        what = f'Message type "{descriptor.full_name}" has no field named "{name}"'
        hint = (
            _suggest_other_kind(name, descriptor)
            or forks.origin_of_field(name, descriptor.name)
            or fork_fields.origin_of(name, descriptor.name)
            or _suggest_field(name, descriptor, _holds_message(text, line, column))
        )
        if len(scopes) > 1 and name in ("layer", "layers"):
            hint = (
                f' Is a "}}" missing? "{scopes[-1].name}" of line {scopes[-1].line} is still open.'
            )
    elif re.match(r'Expected "[}>]"', what) and (left_open := _innermost_at_end(text)):
        hint = f' "{left_open.name}" of line {left_open.line} is not closed.'
    elif descriptor is not None and name in descriptor.fields_by_name:
        field = descriptor.fields_by_name[name]
        what = f'{what.rstrip(".")}, for field "{name}" of {descriptor.name}'
        if field.enum_type is not None:
            hint = _suggest_value(text, line, column, field)
    where = _place(scopes)
    return f"{source}:{line}:{column}: {what.rstrip('.')}{where}.{hint}"


def _explain_missing(path: str, text: str, message: Message, source: str) -> str:
    """The message for one required field, as ``layer[0].clip_param.max``, that is not set."""
    parent, _, name = path.rpartition(".")
    scope = opening_of(text, parent)
    position = f"{scope.line}:{scope.column}" if scope else "1:1"
    kind = _descriptor_of([Scope("", 0, 1, 1), *_as_scopes(parent)], message.DESCRIPTOR)
    return (
        f"{source}:{position}: Message missing required fields: {path} "
        f'({kind.name if kind else "the message"} needs "{name}")'
    )


def _as_scopes(path: str) -> list[Scope]:
    return [Scope(step.partition("[")[0], 0, 1, 1) for step in path.split(".") if step]


def _descriptor_of(scopes: list[Scope], root: Any) -> Any:
    """The type of the innermost scope; None if the way there is no valid one."""
    descriptor = root
    for scope in scopes[1:]:
        field = descriptor.fields_by_name.get(scope.name)
        if field is None or field.message_type is None:
            return None
        descriptor = field.message_type
    return descriptor


def _place(scopes: list[Scope]) -> str:
    """Says which layer it is: by name and type as far as they were read, else by number."""
    for scope in scopes[1:]:
        if scope.name in ("layer", "layers"):
            if "name" in scope.values:
                kind = f' of type "{scope.values["type"]}"' if "type" in scope.values else ""
                return f' (in layer "{scope.values["name"]}"{kind})'
            return f" (in {scope.step})"
    return f" (in {scopes[-1].name})" if len(scopes) > 1 else ""


def _innermost_at_end(text: str) -> Scope | None:
    """The message that is still open where the text ends."""
    stack = scopes_at(text + "\n#", text.count("\n") + 2, 1)
    return stack[-1] if len(stack) > 1 else None


def _suggest_other_kind(name: str, descriptor: Any) -> str:
    """Tells a solver that was given in the place of a net, and the other way round."""
    kinds = {"NetParameter": "net", "SolverParameter": "solver"}
    for message, kind in kinds.items():
        known = getattr(caffe_pb2, message).DESCRIPTOR.fields_by_name
        if descriptor.name in kinds and descriptor.name != message and name in known:
            return f" It is a field of a {kind}; was a {kinds[descriptor.name]} file meant?"
    return ""


def _holds_message(text: str, line: int, column: int) -> bool:
    """Whether the field that begins here has a message as its value."""
    rest = (token for token in tokens(text) if (token.line, token.column) > (line, column))
    return next((token.text in ("{", "<") for token in rest if token.text != ":"), False)


def _suggest_field(name: str, descriptor: Any, holds_message: bool) -> str:
    """Names the nearest field that can hold as much; else the sub-messages that have this field.

    All settings end in ``_param``, which so makes no two names alike.
    """
    known = list(descriptor.fields_by_name)
    short = {
        field.name.removesuffix("_param"): field.name
        for field in descriptor.fields
        if (field.message_type is not None) == holds_message
    }
    near = [short[n] for n in nearest(name.removesuffix("_param"), short, 1, 0.7)]
    hint = f' Did you mean "{near[0]}"?' if near else ""
    holders = [
        field.name
        for field in descriptor.fields
        if field.message_type is not None and name in field.message_type.fields_by_name
    ]
    if holders and descriptor.name == "LayerParameter" and (not near or len(holders) <= 3):
        choice = " or ".join(f"{holder} {{ {name}: … }}" for holder in holders[:3])
        return f" It belongs inside {choice}" + "." + hint
    if hint:
        return hint
    shown = ", ".join(known if len(known) <= 24 else [*known[:24], "…"])
    return f" Known fields: {shown}."


def _suggest_value(text: str, line: int, column: int, field: FieldDescriptor) -> str:
    """Names the nearest and all values of an enum field."""
    given = next((t.text for t in tokens(text) if (t.line, t.column) >= (line, column)), "")
    known = [value.name for value in field.enum_type.values] if field.enum_type else []
    value = given.strip("\"'")
    if value in known:
        return f" Write {value} without quotes."
    hint = forks.origin_of_enum(value) or did_you_mean(value, known, quote="")
    return f"{hint} Known values: {', '.join(known)}."
