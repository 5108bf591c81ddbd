"""Run extract_features of BVLC Caffe and of the engine on the same nets; compare the databases.

    python tests/oracle/features.py [--root DIR]

Keys must be equal, and the Datums but for the last bits of their floats. The log is compared too,
without times, threads and line numbers.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile

os.environ.setdefault("GLOG_minloglevel", "2")

import case_files
import enter
import numpy as np
import rows
from root import CHECKOUT, OracleMissing, default_root

import caffe
from caffe.data import db
from caffe.proto import caffe_pb2

NET = """
layer {{ name: "rows" type: "HDF5Data" top: "data"
        hdf5_data_param {{ source: "list.txt" batch_size: {batch} }} }}
layer {{ name: "conv" type: "Convolution" bottom: "data" top: "conv"
        convolution_param {{ num_output: 4 kernel_size: 2 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "ip" type: "InnerProduct" bottom: "conv" top: "ip"
        inner_product_param {{ num_output: 5 weight_filler {{ type: "xavier" }} }} }}
"""
# (batch size, blobs, batches, backend)
RUNS = [
    (3, "ip", 2, "lmdb"),
    (2, "conv,ip,data", 3, "lmdb"),
    (4, "conv", 1, "leveldb"),
    (5, "data,ip", 2, "leveldb"),
    (250, "ip", 4, "lmdb"),
    (2, "ip", 0, "lmdb"),
]


def prepare(folder, batch):
    """The net, its weights and its data."""
    array = {"kind": "normal", "seed": batch, "shape": [11, 2, 3, 4], "dtype": "float32"}
    case_files.write(
        [
            {"name": "0.h5", "kind": "hdf5", "datasets": {"data": array}},
            {"name": "list.txt", "kind": "text", "text": "0.h5"},
            {"name": "net.prototxt", "kind": "text", "text": NET.format(batch=batch)},
        ],
        folder,
    )
    os.chdir(folder)
    caffe.set_random_seed(batch)
    caffe.Net("net.prototxt", caffe.TEST).save("net.caffemodel")


def content(path, backend):
    """[(key, channels, height, width, floats, label)] of a database."""
    cursor, found = db.open(path, backend).records(), []
    while cursor is not None:
        key, value = cursor.item()
        datum = caffe_pb2.Datum.FromString(value)
        label = datum.label if datum.HasField("label") else None
        found.append(
            (
                key,
                (datum.channels, datum.height, datum.width),
                bytes(datum.data),
                label,
                np.array(datum.float_data, np.float32),
            )
        )
        if not cursor.next():
            break
    return found


def texts(log):
    """Severity and text of each line, without what BVLC logs of the net and names of databases."""
    lines = [
        re.match(r"([IWEF])\d{4} \S+ +\d+ extract_features\.cpp:\d+\] (.*)", line)
        for line in log.splitlines()
    ]
    return [(m.group(1), re.sub(r"dataset \w+_", "dataset ", m.group(2))) for m in lines if m]


def compare(root, batch, blobs, batches, backend):
    """(list of what differs, largest difference as a share of the largest value)."""
    logs, stores = [], []
    environment = dict(enter.environment(), GLOG_minloglevel="0", GLOG_logtostderr="1")
    for side in ("bvlc", "engine"):
        names = ",".join(f"{side}_{blob}" for blob in blobs.split(","))
        arguments = ["net.caffemodel", "net.prototxt", blobs, names, str(batches), backend]
        if side == "bvlc":
            command = enter.inside(
                root, ["extract_features"] + arguments, [os.getcwd()], os.getcwd()
            )
        else:
            command = [sys.executable, "-m", "caffe", "extract_features"] + arguments
            environment = dict(
                os.environ, GLOG_minloglevel="0", PYTHONPATH=os.path.join(CHECKOUT, "src")
            )
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode:
            return [f"{side} failed with {done.returncode}: {done.stderr[-500:]}"], np.inf
        logs.append(texts(done.stderr))
        stores.append([content(name, backend) for name in names.split(",")])
    problems, worst = [], 0.0
    if logs[0] != logs[1] or not logs[0]:
        problems.append(f"logs differ: {logs[0]} expected, {logs[1]} found")
    for blob, expected, found in zip(blobs.split(","), *stores):
        if [r[:4] for r in expected] != [r[:4] for r in found]:
            problems.append(f"{blob}: keys, sizes or labels differ")
            continue
        if len(expected) != batch * batches:
            problems.append(f"{blob}: {len(expected)} records, expected {batch * batches}")
        for a, b in zip(expected, found):
            share = np.abs(a[4] - b[4]).max() / np.abs(a[4]).max()
            worst = max(worst, float(share))
    if not worst <= 1e-5:
        problems.append(f"values differ by {worst:.3g} of the maximum")
    return problems, worst


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", default=default_root(), help="default: %(default)s")
    root = os.path.abspath(parser.parse_args().root)
    bad, largest = 0, 0.0
    for batch, blobs, batches, backend in RUNS:
        with tempfile.TemporaryDirectory(prefix="features-") as folder:
            try:
                prepare(folder, batch)
                problems, worst = compare(root, batch, blobs, batches, backend)
            except OracleMissing as error:
                sys.exit(f"oracle: nothing was compared: {error}")
            finally:
                os.chdir(CHECKOUT)
        print(
            f"extract_features {blobs}, {batches} batches of {batch}, {backend}: "
            + ("; ".join(problems) or f"agrees, largest difference {worst:.2g} of the maximum")
        )
        bad += bool(problems)
        largest = max(largest, worst)
    rows.add(
        "Tools",
        "extract_features",
        len(RUNS),
        bad,
        largest / 1e-5,
        "keys, Datums and log, LMDB and LevelDB",
    )
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
