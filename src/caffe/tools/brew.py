"""What train, test, time and device_query share: their flags, as one table, and the device.

PyTorch is imported where it is needed: usage texts and usage errors do without it.
"""

from __future__ import annotations

from types import SimpleNamespace

import caffe
from caffe import glog
from caffe.tools.flags import Flag, UsageError

__all__ = ["FLAGS", "check", "gpus", "log", "set_arithmetic", "stages", "use_device"]

FLAGS = {
    "gpu": Flag(
        "",
        "train, test, time, device_query: run on these GPUs, ids separated by ',', or on 'all'; "
        "several GPUs only for train, each with a batch of its own",
    ),
    "precision": Flag(
        "fp32",
        "train, test, time: on a GPU multiply float32 numbers as they are (fp32, as BVLC Caffe), "
        "rounded to TF32 (tf32), or keep activations in bfloat16 (bf16)",
    ),
    "deterministic": Flag(
        False, "train, test, time: the same run gives the same bits on a GPU too"
    ),
    "solver": Flag("", "train: the solver's prototxt"),
    "model": Flag("", "test, time: the net's prototxt"),
    "phase": Flag("", "time: the phase of the net, TRAIN (the default) or TEST"),
    "level": Flag(0, "the level of the net's state"),
    "stage": Flag("", "the stages of the net's state, separated by ','"),
    "snapshot": Flag("", "train: go on from this solverstate"),
    "weights": Flag(
        "",
        "train: begin with these caffemodels, separated by ','; not together with -snapshot. "
        "test: the caffemodel to score",
    ),
    "iterations": Flag(50, "test, time: how many iterations to run"),
    "sigint_effect": Flag("stop", "train: what SIGINT (Ctrl-C) does: snapshot, stop or none"),
    "sighup_effect": Flag("snapshot", "train: what SIGHUP does: snapshot, stop or none"),
}


def log(text: str) -> None:
    """One INFO line of the tool."""
    glog.info("caffe", text)


# The files that a command cannot do without.
_NEEDS = {
    "train": {"solver": "Need a solver definition to train: give -solver FILE"},
    "test": {
        "model": "Need a model definition to score: give -model FILE",
        "weights": "Need model weights to score: give -weights FILE",
    },
    "time": {"model": "Need a model definition to time: give -model FILE"},
}


def check(command: str, flags: SimpleNamespace) -> None:
    """Raise UsageError where a command cannot run with these flags; takes no PyTorch."""
    for name, message in _NEEDS.get(command, {}).items():
        if not getattr(flags, name):
            raise UsageError(message)
    if command == "train" and flags.snapshot and flags.weights:
        raise UsageError(
            "Give a snapshot to resume training or weights to finetune but not both: received "
            f"-snapshot {flags.snapshot} and -weights {flags.weights}"
        )
    if command == "time" and flags.phase not in ("", "TRAIN", "TEST"):
        raise UsageError(f'phase must be "TRAIN" or "TEST", received -phase {flags.phase}')
    if command in ("test", "time") and flags.iterations < 1:
        raise UsageError(f"-iterations must be at least 1, received {flags.iterations}")


def stages(flags: SimpleNamespace) -> list[str]:
    """The stages of ``-stage``; without the flag one stage that is the empty string, as BVLC."""
    return flags.stage.split(",")


def set_arithmetic(flags: SimpleNamespace) -> None:
    """Obey ``-precision`` and ``-deterministic``.

    Raises:
        UsageError: a precision that does not exist.
    """
    from caffe.arithmetic import NAMES as PRECISIONS

    if flags.precision not in PRECISIONS:
        raise UsageError(
            f"-precision is one of {', '.join(PRECISIONS)}; received {flags.precision!r}"
        )
    caffe.set_precision(flags.precision)
    caffe.set_deterministic(flags.deterministic)


def gpus(flags: SimpleNamespace) -> list[int]:
    """The ids of ``-gpu``; empty means the CPU.

    Raises:
        UsageError: an id that is no number, or given twice.
    """
    if flags.gpu == "all":
        import torch

        return list(range(torch.cuda.device_count()))
    if not flags.gpu:
        return []
    ids = [word.strip() for word in flags.gpu.split(",")]
    if not all(word.isascii() and word.isdigit() for word in ids) or len(set(ids)) < len(ids):
        raise UsageError(
            f"-gpu takes different ids separated by ',', or 'all'; received {flags.gpu!r}"
        )
    return [int(word) for word in ids]


def use_device(flags: SimpleNamespace) -> None:
    """Put this thread on the first GPU asked for, or on the CPU, and log which.

    Raises:
        DeviceError: there is no such GPU.
    """
    set_arithmetic(flags)
    ids = gpus(flags)
    if not ids:
        log("Use CPU.")
        caffe.set_mode_cpu()
        return
    import torch

    log(f"Use GPU with device ID {ids[0]}")
    caffe.set_device(ids[0])
    caffe.set_mode_gpu()
    log(f"GPU device name: {torch.cuda.get_device_name(ids[0])}")
