"""Do the same thing very often: memory, descriptors and threads stay what they are.

    python tests/fuzz/leaks.py [--times 2000] [--nets 500]

Training, forward passes of one size and of changing sizes, nets and solvers that are made and
dropped, data nets with their reading threads, snapshots and their restoring. Then eight threads,
each with a net of its own, against the results of one. Prints what grew; the exit status is 1 if
something grew that should not.
"""

import argparse
import gc
import os
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).resolve().parents[2] / "src")]

import caffe  # noqa: E402
from caffe.data import db  # noqa: E402

ROOM = 12 << 20  # bytes that allocators may keep beyond the warm-up
PER_TIME = 1500  # bytes a time that are noise
NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 20 dim: 24 }
  } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param {
  num_output: 8 kernel_size: 3 pad: 1 weight_filler { type: "msra" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { kernel_size: 2
  stride: 2 } }
layer { name: "up" type: "Deconvolution" bottom: "pool" top: "up" convolution_param { num_output: 4
  kernel_size: 4 stride: 2 pad: 1 weight_filler { type: "gaussian" std: 0.1 } } }
"""
TRAIN = """
train_net_param {
  layer { name: "x" type: "DummyData" top: "x" top: "l" dummy_data_param {
    shape { dim: 4 dim: 3 dim: 8 dim: 8 } shape { dim: 4 } data_filler { type: "gaussian" }
    data_filler { value: 1 } } }
  layer { name: "conv" type: "Convolution" bottom: "x" top: "c" convolution_param { num_output: 6
    kernel_size: 3 weight_filler { type: "msra" } } }
  layer { name: "drop" type: "Dropout" bottom: "c" top: "c" }
  layer { name: "ip" type: "InnerProduct" bottom: "c" top: "ip" inner_product_param {
    num_output: 2 weight_filler { type: "xavier" } } }
  layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "l" top: "loss" }
}
base_lr: 0.01 momentum: 0.9 lr_policy: "fixed" max_iter: 100000 random_seed: 1 snapshot_prefix: "s"
"""
DATA = """
layer { name: "d" type: "Data" top: "d" top: "l" data_param { source: "lmdb" backend: LMDB
  batch_size: 3 } }
"""


def state():
    """(resident bytes, open descriptors, threads) of this process."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return (
        pages * os.sysconf("SC_PAGE_SIZE"),
        len(os.listdir("/proc/self/fd")),
        threading.active_count(),
    )


def prepare():
    """The files that the tasks read, in the current folder."""
    Path("net.prototxt").write_text(NET)
    Path("solver.prototxt").write_text(TRAIN)
    Path("data.prototxt").write_text(DATA)
    with db.create("lmdb", "lmdb") as writer:
        for number in range(5):
            datum = caffe.io.array_to_datum(np.full((3, 4, 4), number, np.uint8), number)
            writer.put(b"%03d" % number, datum.SerializeToString())


def tasks(times, nets):
    """[(what, how often, what is done once)]"""
    solver = caffe.get_solver("solver.prototxt")
    net = caffe.Net("net.prototxt", caffe.TEST)
    sizes = np.random.RandomState(0).randint(8, 60, (97, 2))

    def changing(time):
        net.blobs["data"].reshape(1, 3, *map(int, sizes[time % len(sizes)]))
        net.forward()

    def saved_and_restored(time):
        solver.snapshot()
        solver.restore(f"s_iter_{solver.iter}.solverstate")

    return [
        ("training steps", times, lambda time: solver.step(1)),
        ("forward passes", times, lambda time: net.forward()),
        ("forward passes of changing sizes", times, changing),
        ("nets", nets, lambda time: caffe.Net("net.prototxt", caffe.TEST).forward()),
        ("solvers", nets // 2, lambda time: caffe.get_solver("solver.prototxt").step(1)),
        ("data nets", nets, lambda time: caffe.Net("data.prototxt", caffe.TRAIN).forward()),
        ("snapshots", nets // 2, saved_and_restored),
    ]


def eight_threads(passes):
    """Whether eight threads with a net each compute what one thread computes."""
    pictures = np.random.RandomState(1).rand(8, 3, 20, 24).astype(np.float32)
    weights = caffe.Net("net.prototxt", caffe.TEST)
    weights.save("threads.caffemodel")

    def compute(number, found):
        net = caffe.Net("net.prototxt", "threads.caffemodel", caffe.TEST)
        for _ in range(passes):
            net.blobs["data"].data[0] = pictures[number]
            found[number] = net.forward()["up"].copy()

    alone, together = [None] * 8, [None] * 8
    for number in range(8):
        compute(number, alone)
    threads = [threading.Thread(target=compute, args=(n, together)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return all(np.array_equal(a, b) for a, b in zip(alone, together))


def run(times, nets, tell=print):
    """Do everything in a temporary folder; returns what was wrong."""
    wrong, before = [], os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            prepare()
            for what, count, once in tasks(times, nets):
                for time in range(max(count // 5, 100)):  # memory settles, at every size
                    once(time)
                start = state()
                for time in range(count):
                    once(time)
                end = state()
                tell(
                    f"{count} {what}: {(end[0] - start[0]) / count:.0f} bytes each, descriptors "
                    f"{start[1]} to {end[1]}, threads {start[2]} to {end[2]}"
                )
                if end[0] - start[0] > ROOM + PER_TIME * count:
                    wrong.append(f"{what}: {end[0] - start[0]} bytes more after {count} times")
                if end[1] > start[1] or end[2] > start[2]:
                    wrong.append(f"{what}: descriptors or threads grew: {start} to {end}")
            if not eight_threads(20):
                wrong.append("eight threads with a net each compute other numbers than one")
            tell("eight threads on eight nets: compared with one")
        finally:
            os.chdir(before)
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--times", type=int, default=2000, help="default: %(default)s")
    parser.add_argument("--nets", type=int, default=500, help="default: %(default)s")
    args = parser.parse_args()
    wrong = run(args.times, args.nets)
    for line in wrong:
        print(line)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
