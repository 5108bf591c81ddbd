"""``extract_features``: what chosen blobs hold for each item, written to databases."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from caffe import glog
from caffe.data import db
from caffe.errors import DataError, ShapeError
from caffe.hints import did_you_mean
from caffe.proto import caffe_pb2
from caffe.tools.flags import UsageError, usage

if TYPE_CHECKING:
    from caffe.net import Net

__all__ = ["main"]

TEST = 1
COMMIT_EVERY = 1000  # records
USAGE = """\
This program takes in a trained network and an input data layer, and then extracts features of the
input data produced by the net.
Usage: extract_features WEIGHTS MODEL BLOB[,BLOB...] DATABASE[,DATABASE...] NUM_MINI_BATCHES
           lmdb|leveldb [CPU|GPU] [DEVICE_ID]
Each item of a blob becomes a Datum of floats (channels x height x width) under its number, ten
digits. The databases must not exist."""


def main(argv: list[str]) -> int:
    """Run the tool with these arguments; returns the exit status.

    Raises:
        Error: a file cannot be read or written, or a blob is not in the net.
    """
    if len(argv) < 6:
        return usage(USAGE)
    weights, model, blobs, databases, batches, backend = argv[:6]
    _choose_device(argv[6:])
    names, targets = blobs.split(","), databases.split(",")
    if len(names) != len(targets):
        raise UsageError(
            f"the number of blob names and dataset names must be equal: got {len(names)} and "
            f"{len(targets)}"
        )
    from caffe.net import Net  # not at the top: the usage needs no PyTorch

    net = Net(model, TEST, weights=weights)
    for name in names:
        if name not in net.blobs:
            raise DataError(
                f"Unknown feature blob name {name} in the network {model}."
                f"{did_you_mean(name, net.blobs)}"
            )
    _extract(net, names, targets, _number(batches, "NUM_MINI_BATCHES"), backend)
    return 0


def _extract(net: Net, names: list[str], targets: list[str], batches: int, backend: str) -> None:
    counts = [0] * len(names)
    with contextlib.ExitStack() as stack:
        writers = []
        for target in targets:
            glog.info("extract_features", f"Opening dataset {target}")
            writers.append(stack.enter_context(db.create(target, backend)))
        glog.error("extract_features", "Extracting Features")
        for _ in range(batches):
            net.forward_loss()
            net.check_verdicts()
            for i, (name, writer) in enumerate(zip(names, writers)):
                for datum in _datums(net.blobs[name], name):
                    writer.put(b"%010d" % counts[i], datum.SerializeToString())
                    counts[i] += 1
                    if counts[i] % COMMIT_EVERY == 0:
                        writer.commit()
                        _tell(counts[i], name)
        for name, count in zip(names, counts):
            _tell(count, name)
    glog.error("extract_features", "Successfully extracted the features!")


def _datums(blob, name: str):
    """One Datum for each item of a blob of up to four axes."""
    if not 1 <= len(blob.dims) <= 4:
        raise ShapeError(
            f"cannot extract blob '{name}': its shape is {blob.dims}, expected 1 to 4 axes, the "
            "first of which counts items"
        )
    size = {"channels": blob.channels, "height": blob.height, "width": blob.width}
    for item in blob.data_numbers().reshape(blob.num, -1):
        yield caffe_pb2.Datum(float_data=item.tolist(), **size)


def _choose_device(arguments: list[str]) -> None:
    from caffe.device import set_device, set_mode_cpu, set_mode_gpu

    if arguments and arguments[0] == "GPU":
        device = _number(arguments[1], "DEVICE_ID") if len(arguments) > 1 else 0
        glog.error("extract_features", "Using GPU")
        glog.error("extract_features", f"Using Device_id={device}")
        set_device(device)
        set_mode_gpu()
    else:
        glog.error("extract_features", "Using CPU")
        set_mode_cpu()


def _number(text: str, what: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 11 and int(text) < 2**31):
        raise UsageError(f"expected a number from 0 to 2147483647 for {what}, got '{text}'")
    return int(text)


def _tell(count: int, name: str) -> None:
    glog.error(
        "extract_features", f"Extracted features of {count} query images for feature blob {name}"
    )
