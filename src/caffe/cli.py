"""The command ``caffe``: train, test, time, device_query with BVLC's flags, and all other tools.

``caffe COMMAND [FLAGS]``, or ``python -m caffe COMMAND [FLAGS]``.  Exit status: 0 when done, and
for the usage text; 1 for every failure, with one message on stderr (BVLC Caffe aborts, 134).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from typing import NamedTuple

from caffe import _collector
from caffe.tools.flags import guarded, help_text, parse

__all__ = ["main"]


class _Tool(NamedTuple):
    """Where a command lives, imported when it is called; its help for the usage text."""

    module: str
    help: str
    function: str = "main"


# The commands of BVLC's `caffe`, which share one set of flags: run(flags) -> exit status.
BREW = {
    "train": _Tool("train", "train or finetune a model", "run"),
    "test": _Tool("test_net", "score a model", "run"),
    "device_query": _Tool("device_query", "show what is known of the GPUs", "run"),
    "time": _Tool("time_net", "benchmark a model, layer by layer", "run"),
}

# What are programs of their own with BVLC: main(arguments) -> exit status.
TOOLS = {
    "classify": _Tool("classify", "classify images, to a .npy file"),
    "compute_image_mean": _Tool("compute_image_mean", "the mean image of a database"),
    "convert_cifar_data": _Tool("convert_cifar", "CIFAR-10's files into two databases"),
    "convert_imageset": _Tool("convert_imageset", "images into a LMDB or LevelDB database"),
    "convert_mnist_data": _Tool("convert_mnist", "MNIST's files into a database"),
    "convert_mnist_siamese_data": _Tool(
        "convert_mnist", "pairs of MNIST's pictures into a database", "siamese"
    ),
    "detect": _Tool("detect", "classify windows of images"),
    "draw": _Tool("draw", "a net as an HTML page: graph, shapes, work, receptive fields"),
    "draw_net": _Tool("draw_net", "draw a net's graph by Graphviz"),
    "export": _Tool("export", "a net with its weights as ONNX, checked"),
    "extract_features": _Tool("extract_features", "a net's blobs into databases"),
    "extract_seconds": _Tool("extract_seconds", "the seconds of a training log's iterations"),
    "parse_log": _Tool("parse_log", "a training log into two CSV tables"),
    "parse_log.sh": _Tool("parse_log", "a training log into two tables with blanks", "shell"),
    "plot_training_log": _Tool("plot_training_log", "a chart of training logs"),
    "resize_and_crop_images": _Tool("resize_and_crop", "the middle squares of a list of images"),
    "shim": _Tool("shim", "BVLC's programs under their paths, for scripts that call them"),
    "summarize": _Tool("summarize", "a net as a table, one line a layer"),
    "upgrade_net_proto_binary": _Tool(
        "upgrade", "an old caffemodel to the present format", "net_proto_binary"
    ),
    "upgrade_net_proto_text": _Tool(
        "upgrade", "an old net prototxt to the present format", "net_proto_text"
    ),
    "upgrade_solver_proto_text": _Tool(
        "upgrade", "an old solver prototxt to the present format", "solver_proto_text"
    ),
}


def main(argv: list[str] | None = None) -> int:
    """Run one command; ``argv`` are the arguments after the program's name."""
    return guarded(_main, sys.argv[1:] if argv is None else argv)


def _main(argv: list[str]) -> int:
    if argv and argv[0] in TOOLS:
        return _function(TOOLS[argv[0]])(argv[1:])
    from caffe.tools import brew, log_files

    flags, commands = parse(argv, {**brew.FLAGS, **log_files.FLAGS}, _usage())
    if flags.version:
        import caffe

        print(f"caffe version {caffe.__version__}")
        return 0
    if len(commands) != 1:
        print(help_text(_usage(), brew.FLAGS))
        return 0
    if commands[0] not in BREW:
        return _unknown(commands[0])
    brew.check(commands[0], flags)  # before PyTorch is loaded
    with log_files.as_asked(flags):
        return _function(BREW[commands[0]])(flags)


def _function(tool: _Tool) -> Callable[..., int]:
    with _collector.resting():  # PyTorch may come with it
        module = import_module(f"caffe.tools.{tool.module}")
    return getattr(module, tool.function)


def _usage() -> str:
    def lines(table: dict[str, _Tool]) -> str:
        return "\n".join(f"  {name:<28}{tool.help}" for name, tool in table.items())

    return (
        "caffe: command line brew\nusage: caffe <command> <args>\n\n"
        f"commands:\n{lines(BREW)}\n\n"
        f"tools, each with arguments of its own (caffe <tool> -help):\n{lines(TOOLS)}\n"
    )


def _unknown(command: str) -> int:
    from caffe import glog
    from caffe.hints import did_you_mean

    glog.error("caffe", "Available caffe actions:")
    for name in sorted([*BREW, *TOOLS]):
        glog.error("caffe", f"\t{name}")
    glog.fatal("caffe", f"Unknown action: {command}.{did_you_mean(command, [*BREW, *TOOLS])}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
