"""What ``caffe.Net`` may be called with: today's form and the one of before 2016."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from caffe import glog
from caffe.proto import caffe_pb2

__all__ = ["NetArguments", "read"]

_NAMES = ("phase", "level", "stages", "weights")


class NetArguments(NamedTuple):
    """The arguments of ``Net`` after the file, checked."""

    phase: caffe_pb2.Phase
    level: int
    stages: Sequence[str]
    weights: str | os.PathLike[str] | None


def read(args: Sequence[Any], **named: Any) -> NetArguments:
    """The arguments behind the file, by position and by name.

    ``(phase, level, stages, weights)``, or with a warning ``(weights, phase)``, the old form.

    Raises:
        TypeError: too many arguments, no phase, or one of another kind.
        ValueError: a number that is no phase.
    """
    values = dict(named)
    if args and isinstance(args[0], (str, bytes, os.PathLike)):
        if len(args) != 2 or values["weights"] is not None or values["phase"] is not None:
            raise TypeError(
                "Net(network_file, phase, ...) needs the phase as a number, caffe.TRAIN or "
                f"caffe.TEST; got {args[0]!r}. (The old form is "
                "Net(network_file, weights_file, phase).)"
            )
        glog.warning(
            "net",
            "DEPRECATION WARNING - deprecated use of Python interface: pass the weights"
            " as Net(network_file, phase, weights=weights_file)",
        )
        values["weights"], args = args[0], args[1:]
    if len(args) > len(_NAMES):
        raise TypeError(f"Net takes a file and up to {len(_NAMES)} arguments, got {len(args)}")
    values.update(zip(_NAMES, args))
    phase, stages = values["phase"], values["stages"] or ()
    if not isinstance(phase, (int, np.integer)):
        raise TypeError(
            f"Net needs a phase, caffe.TRAIN or caffe.TEST, as its second argument; got {phase!r}"
        )
    if phase not in (caffe_pb2.TRAIN, caffe_pb2.TEST):
        raise ValueError(f"a phase is caffe.TRAIN (0) or caffe.TEST (1), got {phase!r}")
    if isinstance(stages, (str, bytes)) or not all(isinstance(s, str) for s in stages):
        raise TypeError(f"stages is a list of names, got {stages!r}")
    known = caffe_pb2.TRAIN if phase == caffe_pb2.TRAIN else caffe_pb2.TEST
    return NetArguments(known, values["level"], stages, values["weights"])
