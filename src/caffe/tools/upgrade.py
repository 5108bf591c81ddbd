"""upgrade_net_proto_text, upgrade_net_proto_binary, upgrade_solver_proto_text: old files to new.

``TOOL IN OUT`` writes the upgraded file.  ``upgrade_net_proto_text --fix-crops IN OUT`` also writes
the offsets that Crop layers of old forks leave out, see :mod:`caffe.prototxt.crop_offsets`.  Exit
status: 0, also where the file was up to date; 1
for a wrong call or a file that cannot be upgraded; 2 where it cannot be parsed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from google.protobuf import text_format
from google.protobuf.message import DecodeError

from caffe import glog
from caffe.atomic import atomic_write
from caffe.errors import PrototxtError
from caffe.proto import caffe_pb2
from caffe.prototxt import read_message
from caffe.prototxt.crop_offsets import fix_crops
from caffe.prototxt.upgrade import net_needs_upgrade, upgrade_net, upgrade_solver_type
from caffe.tools.flags import UsageError

__all__ = ["net_proto_binary", "net_proto_text", "solver_proto_text"]


class _Kind(NamedTuple):
    """One of the tools: its name, what it reads, and how."""

    tool: str
    usage: str
    message: Any
    binary: bool
    needs: Callable[[Any], bool]
    upgrade: Callable[[Any, str], bool]  # False where something was dropped
    fixes_crops: bool = False


_FIX_CROPS = ("--fix-crops", "-fix-crops", "--fix_crops", "-fix_crops")
_NET_USAGE = "v0_net_proto_file_in net_proto_file_out"
_NET = (caffe_pb2.NetParameter, net_needs_upgrade, upgrade_net)


def _solver_needs(param: Any) -> bool:
    return param.HasField("solver_type")


def _main(kind: _Kind, argv: list[str]) -> int:
    fixes = kind.fixes_crops and any(word in _FIX_CROPS for word in argv)
    if fixes:
        argv = [word for word in argv if word not in _FIX_CROPS]
    if argv and argv[0] in ("-h", "-help", "--help"):
        print(f"Usage: {kind.tool} {kind.usage}")
        return 0
    if len(argv) != 2:
        glog.error(kind.tool, f"Usage: {kind.tool} {kind.usage}")
        return 1
    source, target = argv
    name = kind.message.DESCRIPTOR.name
    if not os.path.isfile(source):
        raise UsageError(f"File not found: {source} (a {name} was to be read from it)")
    form = "binary" if kind.binary else "text"
    try:
        message = (
            _read_binary(source, kind) if kind.binary else read_message(source, kind.message())
        )
    except PrototxtError as error:
        glog.error(kind.tool, f"Failed to parse input {form} file as {name}: {source}: {error}")
        return 2
    complete = True
    if kind.needs(message):
        try:
            complete = kind.upgrade(message, source)
        except PrototxtError as error:
            glog.error(
                kind.tool,
                f"Encountered error(s) while upgrading prototxt; nothing was written: {error}",
            )
            return 1
        if not complete:
            glog.error(
                kind.tool, "Encountered error(s) while upgrading prototxt; see details above."
            )
    elif not fixes:
        glog.error(kind.tool, f"File already in latest proto format: {source}")
    if fixes:
        for line in fix_crops(message, source):
            glog.info(kind.tool, f"{source}: layer {line}")
    if kind.binary:
        content = message.SerializeToString()
    else:
        content = text_format.MessageToString(message).encode()
    with atomic_write(target) as stream:
        stream.write(content)
    glog.info(kind.tool, f"Wrote upgraded {name} {form} proto to {target}")
    return 0 if complete else 1


def _read_binary(source: str, kind: _Kind) -> Any:
    with open(source, "rb") as stream:
        content = stream.read()
    try:
        return kind.message.FromString(content)
    except DecodeError as error:
        raise PrototxtError(f"no binary {kind.message.DESCRIPTOR.name}: {error}") from error


net_proto_text = partial(
    _main,
    _Kind("upgrade_net_proto_text", f"[--fix-crops] {_NET_USAGE}", _NET[0], False, *_NET[1:], True),
)
net_proto_binary = partial(
    _main, _Kind("upgrade_net_proto_binary", _NET_USAGE, _NET[0], True, *_NET[1:])
)
solver_proto_text = partial(
    _main,
    _Kind(
        "upgrade_solver_proto_text",
        "old_solver_proto_file_in solver_proto_file_out",
        caffe_pb2.SolverParameter,
        False,
        _solver_needs,
        upgrade_solver_type,
    ),
)
