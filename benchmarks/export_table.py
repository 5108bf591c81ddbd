"""Export every net there is to ONNX, and say how far the files are from the engine and how fast.

    python benchmarks/export_table.py [--nets NAME,…] [--models DIR] [--most PIXELS] [--rounds 3]
        [--opencv PYTHON] [--keep FILE.json] [--write]

Nets: the classifiers of fcn/classifiers and the experiments of fcn/catalog with random weights,
those that are shipped with their own, and with --models every prototxt with a caffemodel below DIR,
as published.  Each is exported with free sizes where it allows them, proved by the export itself,
timed (the best of some passes at the export's size) under the engine, ONNX Runtime and OpenVINO,
and read by OpenVINO and, with --opencv, by the OpenCV 5 of another Python.  One net at a time, in a
process of its own; files are deleted after each.  --keep stores rows as they come and leaves out
those that it has.  --write adds benchmarks/results/DATE-export.md.
"""

import argparse
import datetime
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import warnings

HERE = os.path.dirname(os.path.abspath(__file__))
CHECKOUT = os.path.dirname(HERE)
sys.path[:0] = [CHECKOUT, HERE, os.path.join(CHECKOUT, "tests", "oracle")]
os.environ.setdefault("GLOG_minloglevel", "2")

import numpy as np  # noqa: E402

#: Seconds from which one pass is enough.
SLOW = 1.0

SHIPPED = ("voc-fcn4s-lite0", "camvid-fcn4s-lite0", "camvid-fcn8s")

#: What OpenCV 5 is asked to do, in a Python of its own: read, run, compare.
OPENCV = """
import sys, numpy as np, cv2
net = cv2.dnn.readNetFromONNX(sys.argv[1])
data = np.load(sys.argv[2])
for name in data["inputs"]:
    net.setInput(data["in_" + str(name)], str(name))
names = [str(name) for name in data["outputs"]]
worst = 0
for name, got in zip(names, net.forward(names)):
    right = data["out_" + name]
    got = np.asarray(got).reshape(right.shape)
    worst = max(worst, float(np.abs(got - right).max() / np.abs(right).max()))
print(worst)
"""


def names_of(models):
    """(group, name) of all nets."""
    from fcn import catalog
    from fcn.classifiers.catalog import CLASSIFIERS

    rows = [("classifier", name) for name in CLASSIFIERS]
    rows += [("experiment", name) for name in catalog.EXPERIMENTS]
    rows += [("published", name) for name in published(models)] if models else []
    return rows


def published(folder):
    """The names of the prototxts below a folder that have weights of their name, or the only."""
    found = {}
    for place, _, files in sorted(os.walk(folder)):
        weights = sorted(f for f in files if f.endswith(".caffemodel"))
        for file in sorted(files):
            if not file.endswith(".prototxt"):
                continue
            stem = file[: -len(".prototxt")]
            own = [w for w in weights if w == f"{stem}.caffemodel"]
            own = own or [w for w in weights if w.startswith(stem)]
            choice = own or (weights if len(weights) == 1 else [])
            for weight in choice[:1]:
                name = os.path.relpath(os.path.join(place, file), folder)
                found[name] = os.path.join(place, file), os.path.join(place, weight)
    return found


def prepared(group, name, options, folder):
    """A net with its weights, or random ones, and the shapes of its inputs."""
    from nets_made import fill

    import bootstrap  # noqa: F401
    import caffe
    from fcn import catalog
    from nets import classifiers

    weights = None
    if group == "published":
        path, weights = published(options.models)[name]
    elif group == "classifier":
        path = os.path.join(folder, "deploy.prototxt")
        with open(path, "w") as stream:
            stream.write(classifiers.text(classifiers.build(name, "deploy")))
    else:
        path = catalog.net_path(name, "deploy")
        if name in SHIPPED:
            weights = os.path.join(CHECKOUT, "nets", name, f"{name}.caffemodel")
    net = caffe.Net(path, caffe.TEST, weights=weights)
    if weights is None:
        fill(net, np.random.default_rng(1337))
    shapes = {key: list(net.blobs[key].data.shape) for key in net.inputs}
    for shape in shapes.values():
        longest = max(shape[2:]) if len(shape) == 4 else 0
        if group == "experiment" and options.most and longest > options.most:
            shape[2:] = [n * options.most // longest for n in shape[2:]]
    for key, shape in shapes.items():
        net.blobs[key].reshape(*shape)
    net.reshape()
    return net, shapes


def best(run, rounds):
    """The least milliseconds of several calls, after one that does not count; of one that takes
    seconds."""
    times = []
    while len(times) <= rounds and (len(times) < 2 or times[-1] < SLOW):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return 1e3 * min(times[1:])


def threads():
    """How many threads each program computes with: OMP_NUM_THREADS, else all processors."""
    return int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)


def row_of(group, name, options):
    """Everything about one net, as a dictionary for JSON."""
    from caffe.export import feeds, to_onnx

    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        net, shapes = prepared(group, name, options, folder)
        path = os.path.join(folder, "net.onnx")
        began = time.perf_counter()
        made = to_onnx(net, None, path, dynamic=True, shapes=shapes)
        row = {
            "group": group,
            "name": name,
            "seconds": time.perf_counter() - began,
            "inputs": made.inputs,
            "nodes": made.nodes,
            "megabytes": os.path.getsize(path) / 1e6,
            "difference": max(max(p.differences.values()) for p in made.proofs),
            "sizes": [{k: list(v) for k, v in p.shapes.items()} for p in made.proofs],
            "notes": made.notes,
        }
        inputs = {n: x for n, x in feeds.feeds(net).items() if n in made.inputs}
        for key, values in inputs.items():
            net.blobs[key].data[...] = values
        row["engine"] = best(net.forward, options.rounds)
        row.update(_onnxruntime(path, inputs, options.rounds))
        # With the sizes of this run in place of free ones, as those want it who know but one size.
        fixed = path
        if any(isinstance(n, str) for dims in made.inputs.values() for n in dims):
            os.remove(path)
            fixed = os.path.join(folder, "fixed.onnx")
            to_onnx(net, None, fixed, check=False, shapes=shapes)
        outputs = {n: np.array(net.blobs[n].data) for n in made.outputs}
        row.update(_openvino(fixed, inputs, outputs, options.rounds))
        if options.opencv:
            row.update(_opencv(options.opencv, fixed, inputs, outputs, folder))
    return row


def _onnxruntime(path, inputs, rounds):
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    settings.intra_op_num_threads = threads()
    session = onnxruntime.InferenceSession(path, settings, ["CPUExecutionProvider"])
    return {"onnxruntime": best(lambda: session.run(None, inputs), rounds)}


def _openvino(path, inputs, outputs, rounds):
    try:
        import openvino
    except ImportError:
        return {}
    try:
        compiled = openvino.Core().compile_model(
            path, "CPU", {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads()}
        )
        request = compiled.create_infer_request()
        found = request.infer(inputs)
        apart = max(_apart(outputs[n], np.array(found[compiled.output(n)])) for n in outputs)
        return {"openvino": best(lambda: request.infer(inputs), rounds), "openvino_apart": apart}
    except Exception as error:  # whatever a reader says is part of the table
        return {"openvino_error": str(error).strip().splitlines()[-1][:200]}


def _apart(right, got):
    if right.shape != got.shape:
        return float("inf")
    return float(np.abs(right - got).max() / max(np.abs(right).max(), 1e-30))


def _opencv(python, path, inputs, outputs, folder):
    data = {f"in_{n}": x for n, x in inputs.items()} | {f"out_{n}": x for n, x in outputs.items()}
    file = os.path.join(folder, "data.npz")
    np.savez(file, inputs=list(inputs), outputs=list(outputs), **data)
    done = subprocess.run([python, "-c", OPENCV, path, file], capture_output=True, text=True)
    if done.returncode:
        lines = [line for line in done.stderr.strip().splitlines() if line.strip()]
        error = lines[-1][:200] if lines else f"status {done.returncode}"
        return {"opencv_error": error}
    return {"opencv_apart": float(done.stdout.split()[-1])}


def report(rows, options):
    """The page."""
    from fcn8s_speed import machine

    lines = [
        f"# Exports to ONNX, {datetime.date.today():%Y-%m-%d}",
        "",
        "`python benchmarks/export_table.py`: each net as one ONNX file with the free sizes that "
        "it allows. *Difference*: the largest of an output between ONNX Runtime and the engine, "
        "relative to the output's largest value, over random inputs of these sizes and, where "
        "sizes are free, at others. *ms*: the best of some passes; other work ran on the machine, "
        "so they compare the programs of a row, and rows only roughly. "
        "*OpenVINO* and *OpenCV 5*: the difference of their result for the file with fixed sizes "
        "(OpenVINO told to compute in float32).",
        "",
        f"{machine()}; {threads()} thread(s) each.",
        "",
        "| Net | Inputs | Free sizes | Operators | MB | Difference | engine, ms | ONNX Runtime, ms "
        "| OpenVINO, ms | OpenVINO | OpenCV 5 |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        if "error" in row:
            lines.append(f"| {row['name']} | {row['error']} |" + " |" * 9)
            continue
        kinds = ("batch", "height", "width")
        dims = [n for shape in row["inputs"].values() for n in shape]
        free = ", ".join(k for k in kinds if k in dims) or "–"
        cells = [
            row["name"],
            ", ".join("×".join(map(str, shape)) for shape in row["sizes"][0].values()),
            free,
            str(row["nodes"]),
            f"{row['megabytes']:.1f}",
            f"{row['difference']:.1e}",
            *(f"{row[k]:.1f}" if k in row else "–" for k in ("engine", "onnxruntime", "openvino")),
            _reader(row, "openvino"),
            _reader(row, "opencv"),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    told = [line for row in rows for line in _told(row)]
    if told:
        lines += ["", "## What stays fixed, and what readers refuse", "", *told]
    there = {(row["group"], row["name"]) for row in rows}
    missing = [name for group, name in names_of(options.models) if (group, name) not in there]
    if missing:
        lines += ["", f"Not in this run: {', '.join(missing)}."]
    return "\n".join(lines) + "\n"


def _told(row):
    """A line for each thing that a row does not show."""
    fixed = {}
    for note in row.get("notes", []):
        kind, why = note.split(" ", 1)
        layer = re.search(r"layer '[^']*' \(type \w+\)", why)
        reason = f"by {layer.group()}" if layer else why.split(": ")[-1]
        fixed.setdefault(reason, []).append(kind)
    for why, kinds in fixed.items():
        yield f"- {row['name']}: {' and '.join(kinds)} fixed: {why}"
    for reader in ("openvino", "opencv"):
        if f"{reader}_error" in row:
            yield f"- {row['name']}, {reader}: {row[f'{reader}_error']}"


def _reader(row, name):
    if f"{name}_error" in row:
        return "refuses"
    return f"{row[f'{name}_apart']:.1e}" if f"{name}_apart" in row else "–"


def main(argv=None):
    parser = argparse.ArgumentParser(allow_abbrev=False, description=__doc__.splitlines()[0])
    parser.add_argument("--nets", help="names, separated by ','; by default all")
    parser.add_argument("--models", metavar="DIR", help="published prototxts with caffemodels")
    parser.add_argument(
        "--most",
        type=int,
        default=0,
        metavar="PIXELS",
        help="the longer side of the experiments' images (default: their prototxts')",
    )
    parser.add_argument("--rounds", type=int, default=3, help="passes (default: %(default)s)")
    parser.add_argument("--opencv", metavar="PYTHON", help="a Python that has OpenCV 5")
    parser.add_argument("--keep", metavar="JSON", help="rows so far, one JSON object a line")
    parser.add_argument("--write", action="store_true", help="write benchmarks/results")
    parser.add_argument("--one", nargs=2, metavar=("GROUP", "NAME"), help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.one:
        print(json.dumps(row_of(*options.one, options)))
        return 0
    done = {}
    if options.keep and os.path.exists(options.keep):
        with open(options.keep) as stream:
            done = {(row["group"], row["name"]): row for row in map(json.loads, stream)}
    wanted = options.nets.split(",") if options.nets else None
    rows = []
    for group, name in names_of(options.models):
        if wanted is not None and name not in wanted:
            continue
        row = done.get((group, name)) or _in_a_process(group, name, options)
        rows.append(row)
        print(name, row.get("error") or f"{row['difference']:.1e}", flush=True)
        if options.keep and (group, name) not in done:
            with open(options.keep, "a") as stream:
                stream.write(json.dumps(row) + "\n")
    text = report(rows, options)
    if options.write:
        path = os.path.join(HERE, "results", f"{datetime.date.today():%Y-%m-%d}-export.md")
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(text)
        print(f"wrote {path}")
    else:
        print(text)
    return 0


def _in_a_process(group, name, options):
    command = [sys.executable, os.path.abspath(__file__), "--one", group, name]
    command += ["--rounds", str(options.rounds), "--most", str(options.most)]
    for flag in ("models", "opencv"):
        if getattr(options, flag):
            command += [f"--{flag}", getattr(options, flag)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        return {"group": group, "name": name, "error": lines[-1][:300] if lines else "failed"}
    return json.loads(done.stdout.strip().splitlines()[-1])


if __name__ == "__main__":
    sys.exit(main())
