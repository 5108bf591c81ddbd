"""How the solvers that train together find each other.

A *uid* is the bytes that :meth:`caffe.NCCL.new_uid` makes once and every solver's process is given:
the address of a small server in the process that made it, which lives as long as that process.
Under ``torchrun`` it is ``env://``, and torchrun's own environment says where to meet.
"""

from __future__ import annotations

import os
import re
import secrets
import sys
from datetime import timedelta

import torch.distributed as dist

from caffe.errors import DeviceError
from caffe.rank import (
    set_multiprocess,
    set_solver_count,
    set_solver_rank,
    solver_count,
    solver_rank,
)

__all__ = ["ENVIRONMENT", "in_torchrun", "local_rank", "meet", "new_uid", "place_from_torchrun"]

ENVIRONMENT = b"env://"
_TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
_UID = re.compile(rb"tcp://(?P<host>[^/]+):(?P<port>\d{1,5})/(?P<token>[0-9a-f]+)")

_servers: list[dist.TCPStore] = []
_meetings: dict[bytes, int] = {}


def in_torchrun() -> bool:
    """Whether ``torchrun`` (``python -m torch.distributed.run``) started this process."""
    return all(name in os.environ for name in _TORCHRUN)


def local_rank() -> int:
    """This process's number among torchrun's processes on this machine: which GPU to take."""
    return _number("LOCAL_RANK")


def place_from_torchrun() -> tuple[int, int]:
    """Take the calling thread's solver rank and count from torchrun: returns (rank, count).

    The first line of a script that ``torchrun`` starts, on one machine or several; without
    torchrun it leaves one solver of rank 0.
    """
    if in_torchrun():
        set_solver_count(_number("WORLD_SIZE"))
        set_solver_rank(_number("RANK"))
        set_multiprocess(True)
    return solver_rank(), solver_count()


def new_uid() -> bytes:
    """A uid for one group of solvers.  Keep the process that made it until they are done.

    The address is this machine's loopback, which processes of this machine reach.  For several
    machines use torchrun, or set ``MASTER_ADDR`` to a name of this machine that the others can
    reach and hand the uid on.
    """
    if in_torchrun():
        return ENVIRONMENT
    host = os.environ.get("MASTER_ADDR", "127.0.0.1")
    server = dist.TCPStore(host, 0, is_master=True, wait_for_workers=False)
    _servers.append(server)
    return f"tcp://{host}:{server.port}/{secrets.token_hex(4)}".encode()


def meet(uid: bytes | str, backend: str, rank: int, count: int, timeout: timedelta) -> dist.Store:
    """Join the process group of ``count`` solvers as ``rank``; returns the store they share.

    Raises:
        DeviceError: not a uid.
        RuntimeError: the others did not come in time (from torch.distributed).
    """
    uid = uid.encode() if isinstance(uid, str) else bytes(uid)
    hook = sys.excepthook
    try:
        return _meet(uid, backend, rank, count, timeout)
    finally:
        sys.excepthook = hook  # PyTorch puts its own before it, once for each group


def _meet(uid: bytes, backend: str, rank: int, count: int, timeout: timedelta) -> dist.Store:
    if uid == ENVIRONMENT:
        dist.init_process_group(backend, rank=rank, world_size=count, timeout=timeout)
        return dist.distributed_c10d._get_default_store()
    parts = _UID.fullmatch(uid)
    if parts is None:
        raise DeviceError(
            f"not a uid: {uid!r}. Call caffe.NCCL.new_uid() once and give its bytes to every "
            "solver's process."
        )
    store = dist.TCPStore(parts["host"].decode(), int(parts["port"]), timeout=timeout)
    # The same uid may serve a second group once the first is closed: each has its own keys.
    number = _meetings[uid] = _meetings.get(uid, 0) + 1
    own = dist.PrefixStore(f"{parts['token'].decode()}/{number}", store)
    dist.init_process_group(backend, store=own, rank=rank, world_size=count, timeout=timeout)
    return own


def _number(name: str) -> int:
    text = os.environ[name]
    if not text.isdecimal():
        raise DeviceError(f"the environment variable {name} should be a number, it is {text!r}")
    return int(text)
