"""draw_net NET.prototxt PICTURE: the graph of a net, by :mod:`caffe.draw`.

The picture's extension decides its format: png, svg, pdf, dot, raw …
"""

from __future__ import annotations

from caffe.proto import caffe_pb2
from caffe.prototxt import read_net
from caffe.tools.flags import Flag, UsageError, parse, usage

__all__ = ["main"]

PHASES = {"ALL": None, "TRAIN": caffe_pb2.TRAIN, "TEST": caffe_pb2.TEST}
DIRECTIONS = ("LR", "RL", "TB", "BT")
FLAGS = {
    "rankdir": Flag("LR", "which way the net runs: LR, RL, TB (top to bottom) or BT"),
    "phase": Flag("ALL", "only the layers of this phase: TRAIN, TEST or ALL"),
    "display_lrm": Flag(False, "show the learning-rate multipliers"),
}
USAGE = "usage: draw_net NET.prototxt PICTURE [--rankdir LR] [--phase ALL] [--display_lrm]"


def main(argv: list[str]) -> int:
    """Run the tool; returns the exit status."""
    flags, rest = parse(argv, FLAGS, USAGE)
    if len(rest) != 2:
        return usage(USAGE, FLAGS)
    if flags.phase not in PHASES:
        raise UsageError(f"--phase is TRAIN, TEST or ALL; received {flags.phase}")
    if flags.rankdir not in DIRECTIONS:
        raise UsageError(f"--rankdir is one of {', '.join(DIRECTIONS)}; received {flags.rankdir}")
    from caffe import draw

    net = read_net(rest[0])
    print(f"Drawing net to {rest[1]}")
    draw.draw_net_to_file(net, rest[1], flags.rankdir, PHASES[flags.phase], flags.display_lrm)
    return 0
