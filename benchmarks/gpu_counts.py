#!/usr/bin/env python3
"""What a pass of FCN-8s costs on a GPU: kernel launches, copies, waits; counted without one.

The layers and connections are those of nets/voc-fcn8s, the widths a sixteenth, the image small: the
counts depend on neither. They are taken on the pretend GPU of tests/pretend_device.py: first with
every operator launched by itself, then, where the engine can, with passes replayed from graphs.
docs/gpu.md says what rows and columns mean.

    python benchmarks/gpu_counts.py                    # this checkout's engine
    python benchmarks/gpu_counts.py --src OTHER/src    # that of another checkout
    python benchmarks/gpu_counts.py --lines sync       # and which lines of the engine do it
"""

import argparse
import os
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SIZE = 64
SHARE = 16
COLUMNS = ("launch", "view", "alloc", "H2D", "H2D bytes", "D2H", "D2H bytes", "sync")


def _train_net(engine_proto, text_format, narrow):
    """FCN-8s' training net, narrow, with inputs in the place of its data layer."""
    net = engine_proto.NetParameter()
    with open(os.path.join(ROOT, "nets", "voc-fcn8s", "train.prototxt"), encoding="utf-8") as lines:
        text_format.Merge(lines.read(), net)
    (data,) = [layer for layer in net.layer if layer.type == "Python"]
    net.layer.remove(data)
    inputs = engine_proto.NetParameter()
    for top, channels in (("data", 3), ("label", 1)):
        layer = inputs.layer.add(name=top, type="Input", top=[top])
        layer.input_param.shape.add(dim=[1, channels, SIZE, SIZE])
    inputs.MergeFrom(net)
    for layer in inputs.layer:
        p = layer.convolution_param
        if layer.type == "Convolution":
            p.weight_filler.type = "msra"
        elif layer.type == "Deconvolution":
            p.weight_filler.type = "bilinear"
    return narrow(inputs, SHARE)


def measure():
    """{section: Counts} of the engine that can be imported."""
    import numpy as np
    import pretend_device
    import torch
    from google.protobuf import text_format
    from narrow_nets import narrow

    import caffe
    from caffe import device
    from caffe.proto import caffe_pb2

    torch.set_num_threads(1)
    pretend_device.install()
    where = torch.device("pretend", 0)
    fields = {"pinned": True} if "pinned" in device.Device.__dataclass_fields__ else {}
    device._mode.device = device.Device("pretend0", where, False, **fields)

    solver_param = caffe_pb2.SolverParameter(
        base_lr=1e-10, lr_policy="fixed", momentum=0.99, weight_decay=0.0005, random_seed=1
    )
    solver_param.net_param.CopyFrom(_train_net(caffe_pb2, text_format, narrow))
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "solver.prototxt")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text_format.MessageToString(solver_param))
        solver = caffe.get_solver(path)
    net = solver.net
    random = np.random.RandomState(0)

    def feed():
        net.blobs["data"].data[...] = random.randn(1, 3, SIZE, SIZE)
        net.blobs["label"].data[...] = random.randint(0, 21, (1, 1, SIZE, SIZE))

    def step():
        feed()
        solver.step(1)

    deploy = caffe_pb2.NetParameter()
    with open(os.path.join(ROOT, "nets", "voc-fcn8s", "deploy.prototxt")) as lines:
        text_format.Merge(lines.read(), deploy)
    with tempfile.NamedTemporaryFile("w", suffix=".prototxt") as file:
        file.write(text_format.MessageToString(narrow(deploy, SHARE)))
        file.flush()
        test = caffe.Net(file.name, caffe.TEST)
    test.share_with(net)
    test.blobs["data"].reshape(1, 3, SIZE, SIZE)

    def label():
        test.blobs["data"].data[...] = random.randn(1, 3, SIZE, SIZE)
        test.forward_loss()  # the whole pass, its outputs not fetched

    found = {}

    def section(name, call, before=0):
        for _ in range(before):  # what is made once, is made
            call()
        with pretend_device.counting() as counts:
            call()
        found[name] = counts

    section("step", step, before=3)
    feed()
    section("its forward", net.forward_loss)
    net.clear_param_diffs()  # as each iteration begins
    section("its backward", net.backward_all)
    section("its update", solver.apply_update)
    section("test", label, before=3)
    try:
        from pretend_graphs import replayed
    except ImportError:  # an engine that has no graphs
        return found
    with replayed():
        section("step from graphs", step, before=6)
        section("test from graphs", label, before=6)
    return found


def table(found):
    """The counts as a table in markdown."""
    lines = ["| | " + " | ".join(COLUMNS) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    for name, counts in found.items():
        numbers = (f"{counts[kind]:,}" for kind in COLUMNS)
        lines.append(f"| {name} | " + " | ".join(numbers) + " |")
    return "\n".join(lines)


def main(argv=None):
    parser = argparse.ArgumentParser(allow_abbrev=False, description=__doc__.split("\n")[0])
    parser.add_argument("--src", default=os.path.join(ROOT, "src"), help="where caffe is")
    parser.add_argument(
        "--lines", metavar="KIND", action="append", default=[], help="list the lines for a column"
    )
    options = parser.parse_args(argv)
    sys.path[:0] = [os.path.abspath(options.src), os.path.join(ROOT, "tests")]
    os.environ.setdefault("GLOG_minloglevel", "2")
    found = measure()
    print(table(found))
    for kind in options.lines:
        for name, counts in found.items():
            for line, times in counts.lines(kind).items():
                print(f"{name}: {kind} {times} x {line}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
