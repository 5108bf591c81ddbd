"""Caffe's command-line tools and the engine's, on the same small inputs.

    python tests/oracle/tools.py [--root DIR] [--only TOOL]

Each scenario runs the same command lines in a folder of the same files under both programs.
Compared are the exit statuses (BVLC Caffe's abort, 134, stands for our 1), the lines that train,
test and time print, and upgraded files as parsed messages.
"""

import argparse
import os
import subprocess
import sys
import tempfile

import enter
import rows
from google.protobuf import text_format
from log_scenarios import NET, RICH, SKIP
from logs import differences, normalise
from root import CHECKOUT, OracleMissing, check_complete, default_root

os.environ.setdefault("GLOG_minloglevel", "2")
sys.path.insert(0, os.path.join(CHECKOUT, "src"))
from caffe.proto import caffe_pb2

ABORTED = (134, -6)
SOLVER = """
net: "net.prototxt" base_lr: 0.05 lr_policy: "fixed" max_iter: 4 display: 2 random_seed: 3
snapshot_prefix: "snap" solver_mode: CPU
"""
TRAIN = "caffe train -solver solver.prototxt"

V0 = """
name: "v0" input: "data" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8
layers { layer { name: "pad" type: "padding" pad: 2 } bottom: "data" top: "pad" }
layers { layer { name: "conv" type: "conv" num_output: 4 kernelsize: 5 stride: 2 group: 1
    biasterm: false weight_filler { type: "gaussian" std: 0.01 } blobs_lr: 1 weight_decay: 2 }
  bottom: "pad" top: "conv" }
layers { layer { name: "relu" type: "relu" } bottom: "conv" top: "conv" }
layers { layer { name: "pool" type: "pool" pool: AVE kernelsize: 2 stride: 2 }
  bottom: "conv" top: "pool" }
layers { layer { name: "norm" type: "lrn" local_size: 3 alpha: 0.01 beta: 0.5 }
  bottom: "pool" top: "norm" }
layers { layer { name: "drop" type: "dropout" dropout_ratio: 0.3 } bottom: "norm" top: "norm" }
layers { layer { name: "ip" type: "innerproduct" num_output: 7 } bottom: "norm" top: "ip" }
layers { layer { name: "prob" type: "softmax" } bottom: "ip" top: "prob" }
"""
V0_DATA = """
name: "v0"
layers { layer { name: "d" type: "data" source: "db" batchsize: 4 scale: 0.5 meanfile: "m"
  cropsize: 3 mirror: true rand_skip: 2 } top: "x" top: "label" }
layers { layer { name: "i" type: "images" source: "list" batchsize: 4 new_height: 5 new_width: 6
  shuffle_images: true } top: "y" top: "label2" }
layers { layer { name: "w" type: "window_data" source: "w" batchsize: 2 det_fg_threshold: 0.6
  det_context_pad: 3 det_crop_mode: "square" } top: "z" top: "label3" }
layers { layer { name: "c" type: "concat" concat_dim: 1 } bottom: "x" bottom: "y" top: "c" }
layers { layer { name: "l" type: "softmax_loss" } bottom: "c" bottom: "label" }
"""
V1 = """
name: "v1" input: "x" input_shape { dim: 2 dim: 3 dim: 4 dim: 5 }
layers { name: "conv" type: CONVOLUTION bottom: "x" top: "a" blobs_lr: 1 blobs_lr: 2
  weight_decay: 1 weight_decay: 0 param: "w" param: "b" blob_share_mode: PERMISSIVE
  convolution_param { num_output: 2 kernel_size: 3 } include { phase: TRAIN } }
layers { name: "loss" type: SOFTMAX_LOSS bottom: "a" bottom: "label" top: "l" loss_weight: 2 }
layers { name: "data" type: DATA top: "d" data_param { source: "s" scale: 2 mirror: true } }
layers { name: "p" type: PRELU bottom: "a" top: "p" }
layers { name: "none" bottom: "p" top: "q" }
"""
BATCH_NORM = """
name: "bn" layer { name: "bn" type: "BatchNorm" bottom: "x" top: "y" param { lr_mult: 1 }
  param { lr_mult: 1 } param { lr_mult: 2 decay_mult: 3 } }
"""
LOST = V0.replace('type: "relu"', 'type: "relu" stride: 2')
NETS = {
    "V0": V0,
    "V0, a field of another type": LOST,
    "V0, data layers": V0_DATA,
    "V1": V1,
    "V2": RICH,
    "BatchNorm": BATCH_NORM,
    "input fields": 'name: "i" input: "x" input_dim: 1 input_dim: 2 input_dim: 3 input_dim: 4',
    "a flaw: two generations": V1 + NET,
    "a flaw: an unknown V0 type": 'layers { layer { name: "x" type: "nonsense" } }',
    "no prototxt": "layer {",
    "an unknown field": "nonsense: 1",
    "empty": "",
}
SOLVERS = {
    "old types": 'net: "n" solver_type: ADAM momentum: 0.9',
    "present": 'type: "SGD"',
    "both": 'type: "SGD" solver_type: SGD',
    "no type": 'net: "n" snapshot_prefix: "p"',
    "no prototxt": "net {",
}


def scenario(tool, commands, files=None, log=False, parsed=None, binary=None):
    """log: compare the lines printed. parsed: {file: message} to compare. binary: files to write.

    For `a flaw…` nothing is written here, where BVLC Caffe writes what it could not upgrade.
    """
    return {
        "tool": tool,
        "commands": [line.split() for line in commands],
        "files": files or {},
        "log": log,
        "parsed": parsed or {},
        "binary": binary or {},
    }


def scenarios():
    files = {"net.prototxt": NET, "fixed.prototxt": constant(NET), "solver.prototxt": SOLVER}
    yield (
        "train, then test",
        scenario(
            "caffe test",
            [
                TRAIN,
                "caffe test -model fixed.prototxt -weights snap_iter_4.caffemodel -iterations 3",
            ],
            files,
            log=True,
        ),
    )
    yield (
        "both phases",
        scenario(
            "caffe time",
            [
                "caffe time -model rich.prototxt -iterations 2",
                "caffe time --model=rich.prototxt --iterations=1 --phase=TEST -stage extra "
                "-level 3",
            ],
            {"rich.prototxt": constant(RICH)},
            log=True,
        ),
    )
    for line in (
        "caffe test -model net.prototxt",
        "caffe test",
        "caffe time",
        "caffe train",
        "caffe bogus",
        "caffe train -nonsense",
        "caffe train -solver",
        "caffe train -solver no",
        "caffe time -model no",
        "caffe time -model net.prototxt -phase test",
        "caffe -version",
        "caffe train test",
        "caffe device_query",
        "caffe time -iterations x",
        TRAIN + " -snapshot a -weights b",
        TRAIN + " -sigint_effect halt",
        TRAIN + " -snapshot no.solverstate",
        TRAIN + " -weights no.caffemodel",
    ):
        command = line.split()[1] if line.split()[1] in ("train", "test", "time") else "caffe"
        name = f"caffe {command}" if command != "caffe" else "caffe"
        yield line, scenario(name, [line], files)
    net, solver = caffe_pb2.NetParameter, caffe_pb2.SolverParameter
    for kind, text in NETS.items():
        parsed = {} if kind.startswith("a flaw") else {"out": net}
        yield (
            kind,
            scenario(
                "upgrade_net_proto_text",
                ["upgrade_net_proto_text in out"],
                {"in": text},
                parsed=parsed,
            ),
        )
        message = net()
        try:
            text_format.Parse(text, message)
        except text_format.ParseError:
            content = b"\x0a\xff\x01"
        else:
            content = message.SerializeToString()
        yield (
            kind,
            scenario(
                "upgrade_net_proto_binary",
                ["upgrade_net_proto_binary in out"],
                parsed=parsed,
                binary={"in": content},
            ),
        )
    for kind, text in SOLVERS.items():
        yield (
            kind,
            scenario(
                "upgrade_solver_proto_text",
                ["upgrade_solver_proto_text in out"],
                {"in": text},
                parsed={} if kind == "both" else {"out": solver},
            ),
        )
    for tool in ("upgrade_net_proto_text", "upgrade_net_proto_binary", "upgrade_solver_proto_text"):
        yield "wrong calls", scenario(tool, [tool, f"{tool} no out", f"{tool} a b c"])


def constant(text):
    """The net without random numbers: `caffe test` and `caffe time` take no seed."""
    for filler in (
        'type: "uniform" min: -0.5 max: 0.5',
        'type: "xavier"',
        'type: "uniform" min: -1 max: 1',
        'type: "uniform" min: -2 max: 2',
    ):
        text = text.replace(filler, 'type: "constant" value: 0.3')
    return text


def run(found, folder, wrap, env):
    """(exit statuses, printed lines, parsed files)"""
    for name, text in found["files"].items():
        with open(os.path.join(folder, name), "w") as stream:
            stream.write(text)
    for name, content in found["binary"].items():
        with open(os.path.join(folder, name), "wb") as stream:
            stream.write(content)
    codes, log = [], ""
    for words in found["commands"]:
        done = subprocess.run(
            wrap(words), cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        codes.append(1 if done.returncode in ABORTED else done.returncode)
        log += done.stdout.decode(errors="replace")
    files = {}
    for name, message in found["parsed"].items():
        path = os.path.join(folder, name)
        if os.path.exists(path):
            with open(path, "rb") as stream:
                content = stream.read()
            binary = "binary" in found["tool"]
            files[name] = (
                message.FromString(content)
                if binary
                else text_format.Parse(content.decode(), message())
            )
    return codes, normalise(log, SKIP), files


def both(found, root):
    """What differs in one scenario, as texts."""
    results = []
    for ours in (True, False):
        with tempfile.TemporaryDirectory(prefix="tools-") as folder:
            if ours:
                env = dict(os.environ, PYTHONPATH=os.path.join(CHECKOUT, "src"))
                env.setdefault("OMP_NUM_THREADS", "1")

                def wrap(words):
                    words = words[1:] if words[0] == "caffe" else words
                    return [sys.executable, "-m", "caffe"] + words
            else:
                env = enter.environment()

                def wrap(words, folder=folder):
                    return enter.inside(root, words, [folder], folder)

            env["GLOG_minloglevel"] = "0"
            results.append(run(found, folder, wrap, env))
    (codes, log, files), (their_codes, their_log, their_files) = results
    problems = []
    if codes != their_codes:
        problems.append(f"exit statuses {codes}, BVLC Caffe's {their_codes}: {their_log[-1:]}")
    if found["log"]:
        problems += differences(log, their_log)
    if sorted(files) != sorted(their_files):
        problems.append(f"written: {sorted(files)}, by BVLC Caffe {sorted(their_files)}")
    problems += [
        f"{name} differs:\n{files[name]}\nBVLC Caffe's:\n{their_files[name]}"
        for name in files
        if name in their_files and files[name] != their_files[name]
    ]
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", default=default_root(), help="default: %(default)s")
    parser.add_argument("--only", default="", help="tools whose name holds this text")
    given = parser.parse_args()
    try:
        check_complete(given.root)
    except OracleMissing as error:
        sys.exit(f"oracle: nothing was compared: {error}")
    counts = {}
    for name, found in scenarios():
        if given.only not in found["tool"]:
            continue
        problems = both(found, given.root)
        done = counts.setdefault(found["tool"], [0, 0])
        done[0] += 1
        done[1] += bool(problems)
        print(
            f"{found['tool']}, {name}: " + ("agrees" if not problems else "\n".join(problems)),
            flush=True,
        )
    for tool, (cases, failed) in counts.items():
        rows.add("Tools", tool, cases, failed, None, "command lines: exit status, output")
    bad = sum(failed for _, failed in counts.values())
    print(f"{sum(cases for cases, _ in counts.values())} command lines, {bad} differ")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
