"""draw --html PAGE.html NET.prototxt: the net as one page to look at, by :mod:`caffe.viewer`.

The page holds the graph, and of each layer prototxt, shapes, parameters, stride, receptive field,
multiply-adds and, where asked for, the time; it needs no network and no Graphviz.
"""

from __future__ import annotations

import re

from caffe.proto import caffe_pb2
from caffe.tools.flags import Flag, UsageError, parse, usage

__all__ = ["main"]

PHASES = {"TRAIN": caffe_pb2.TRAIN, "TEST": caffe_pb2.TEST}
FLAGS = {
    "html": Flag("", "the page to write"),
    "phase": Flag("TEST", "the phase whose layers are shown: TRAIN or TEST"),
    "size": Flag("", "WIDTHxHEIGHT of the image, in place of what the prototxt says"),
    "weights": Flag("", "a caffemodel, whose range, mean and deviation are shown"),
    "time": Flag(False, "measure each layer's forward pass"),
    "iterations": Flag(5, "how often it is measured"),
    "gpu": Flag("", "run on this GPU"),
}
USAGE = "usage: draw --html PAGE.html NET.prototxt [--size WxH] [--weights FILE] [--time]"


def main(argv: list[str]) -> int:
    """Run the tool; returns the exit status."""
    flags, rest = parse(argv, FLAGS, USAGE)
    if len(rest) != 1 or not flags.html:
        return usage(USAGE, FLAGS)
    if flags.phase not in PHASES:
        raise UsageError(f"--phase is TRAIN or TEST; received {flags.phase}")
    if flags.iterations < 1:
        raise UsageError(f"--iterations must be at least 1, received {flags.iterations}")
    if flags.gpu and not flags.gpu.isdecimal():
        raise UsageError(f"--gpu is the number of one GPU; received {flags.gpu}")
    from caffe import device, viewer

    if flags.gpu:
        device.set_device(int(flags.gpu))
        device.set_mode_gpu()
    problem = viewer.view(
        rest[0],
        flags.html,
        phase=PHASES[flags.phase],
        size=_size(flags.size),
        weights=flags.weights or None,
        iterations=flags.iterations if flags.time else 0,
    )
    if problem:
        print(f"Without shapes, because the net cannot be built: {problem}")
    print(f"Wrote {flags.html}")
    return 0


def _size(text: str) -> tuple[int, int] | None:
    """(height, width)"""
    if not text:
        return None
    found = re.fullmatch(r"([1-9]\d{0,5})x([1-9]\d{0,5})", text)
    if not found:
        raise UsageError(f"--size is WIDTHxHEIGHT such as 500x334; received {text}")
    return int(found.group(2)), int(found.group(1))
