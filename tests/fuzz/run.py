"""Mutated prototxts, weights and solver states, given to this engine and BVLC Caffe.

    python tests/fuzz/run.py --count 2000 [--seed 1] [--show 3]
                             [--kind net|solver|weights|hdf5|state]

Every file must end in one exception of `caffe.Error`, or be taken and give what BVLC Caffe gives.
Prints a table of outcomes, and for each kind of disagreement how often it came and examples.  Exit
status 1 where the engine crashed, hung, raised something else, took memory beyond twice the file,
or gave other numbers than BVLC Caffe.  Without the oracle the comparison is left out and said so.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "oracle")]

import mutate  # noqa: E402
import rows  # noqa: E402
import seeds  # noqa: E402

KINDS = ["net", "solver", "weights", "hdf5", "state"]
WHAT = {
    "net": "mutated nets", "solver": "mutated solvers", "weights": "mutated caffemodels",
    "hdf5": "mutated HDF5 weights", "state": "mutated solverstates, binary and HDF5",
}  # fmt: skip
SLACK = 256 << 10  # bytes for Python's own objects, beside twice the file


def make_files(folder: Path, kind: str, count: int, seed: int) -> None:
    """Write ``count`` mutants and job.json."""
    from caffe.layer import type_list
    from caffe.proto import caffe_pb2

    rng = random.Random(f"{kind} {seed}")
    types = [t for t in type_list() if t not in ("Python", "HDF5Output")]
    names, phases = [], []
    if kind == "weights":
        (folder / "net.prototxt").write_text(seeds.WEIGHTS_NET)
        forms = seeds.weights()
    elif kind == "hdf5":
        (folder / "net.prototxt").write_text(seeds.WEIGHTS_NET)
        whole = [seeds.hdf5_weights(folder)]
    elif kind == "state":
        whole = seeds.states(folder)
    if kind in ("hdf5", "state"):
        frames = [mutate.hdf5_framing(path) if path.suffix == ".h5" else None for path in whole]
    for k in range(count):
        name = f"{k:05}"
        if kind in ("hdf5", "state"):
            which = rng.randrange(len(whole))
            name += whole[which].suffix  # by which BVLC tells the form of a state
            data = mutate.mutate_bytes(whole[which].read_bytes(), rng, frames[which])
            (folder / name).write_bytes(data)
        elif kind == "weights":
            form = rng.choice(list(forms))
            (folder / name).write_bytes(mutate.mutate_bytes(forms[form], rng))
        else:
            texts = seeds.NETS if kind == "net" else seeds.SOLVERS
            message = caffe_pb2.NetParameter if kind == "net" else caffe_pb2.SolverParameter
            text = texts[rng.choice(list(texts))]
            (folder / name).write_text(mutate.mutate_text(text, message, types, rng), "utf-8")
        names.append(name)
        phases.append(rng.randrange(2))
    job = {"kind": kind, "names": names, "phases": phases}
    (folder / "job.json").write_text(json.dumps(job))


def run_ours(folder: Path) -> None:
    environment = dict(os.environ, GLOG_minloglevel="2", OMP_NUM_THREADS="1")
    command = [sys.executable, str(HERE / "side.py"), str(folder)]
    subprocess.run(command, cwd=folder, check=True, env=environment)


def run_bvlc(folder: Path) -> bool:
    """False where there is no oracle."""
    import enter
    import root

    try:
        command = enter.command_line(
            root.default_root(), str(HERE / "side.py"), [str(folder)], [str(folder)]
        )
    except root.OracleMissing as error:
        print(f"not compared: {error}")
        return False
    subprocess.run(command, cwd=folder, check=True, env=enter.environment())
    return True


def outcome(folder: Path, side: str, name: str, status: dict) -> tuple[str, str]:
    """(what, text): ok, refused, other (an exception), memory, crash or hang."""
    out = folder / side
    ended = status[name][0]
    if ended == signal.SIGALRM:
        return "hang", ""
    if ended:
        text = (out / f"{name}.err").read_text("utf-8", "replace")
        if side == "bvlc" and ended == signal.SIGABRT and "bad_alloc" not in text:
            return "refused", _check_line(text)
        return ("memory" if "bad_alloc" in text else "crash"), f"signal {ended} {text[-300:]}"
    if (out / f"{name}.npz").exists():
        return "ok", ""
    report = json.loads((out / f"{name}.json").read_text())
    text = f"{report['type']}: {report['text']}"
    if report["type"] == "MemoryError" or "can't allocate memory" in report["text"]:
        return "memory", text
    if side == "bvlc" or report["type"].startswith("caffe."):
        return "refused", text
    return "other", text


def _check_line(text: str) -> str:
    """The reason of an abort: glog's fatal line, with protobuf's if there is one."""
    fatal = [line for line in text.splitlines() if line.startswith("F")]
    return (fatal or text.splitlines() or ["aborted"])[0].split("] ", 1)[-1]


def _shorten(text: str) -> str:
    """The message without what differs from file to file, to count kinds."""
    text = re.sub(r"\S*?/?\d{5}(:\d+:\d+)?", "FILE", text.splitlines()[0] if text else "")
    return re.sub(r"-?\d[\d.e+]*", "N", re.sub(r"'[^']*'|\"[^\"]*\"", "S", text))[:110]


def differ(a: Path, b: Path) -> str:
    """What differs between two results; empty where nothing does."""
    with np.load(a) as ours, np.load(b) as bvlc:
        if set(ours.files) != set(bvlc.files):
            return f"names {sorted(set(ours.files) ^ set(bvlc.files))}"
        for key in ours.files:
            x, y = ours[key], bvlc[key]
            if x.shape != y.shape or (key.startswith("shape") and not np.array_equal(x, y)):
                return f"{key}: {x.shape} {y.shape} {x.ravel()[:8]} {y.ravel()[:8]}"
            if key.startswith("out"):
                finite = y[np.isfinite(y)]
                limit = 1e-5 + 1e-4 * (np.abs(finite).max() if finite.size else 0)
                if not np.allclose(x, y, rtol=1e-4, atol=limit, equal_nan=True):
                    return f"{key}: {x.ravel()[:6]} {y.ravel()[:6]}"
    return ""


def examine(folder: Path, compared: bool) -> tuple[collections.Counter, dict]:
    """The table of (ours, BVLC's) outcomes, and all that is remarkable by kind, with examples."""
    job = json.loads((folder / "job.json").read_text())
    ours = json.loads((folder / "ours" / "status.json").read_text())
    bvlc = json.loads((folder / "bvlc" / "status.json").read_text()) if compared else {}
    table: collections.Counter = collections.Counter()
    kinds: dict[tuple[str, str], list[str]] = collections.defaultdict(list)
    for name in job["names"]:
        a, a_text = outcome(folder, "ours", name, ours)
        b, b_text = outcome(folder, "bvlc", name, bvlc) if compared else ("", "")
        if a == b == "ok":
            what = differ(folder / "ours" / f"{name}.npz", folder / "bvlc" / f"{name}.npz")
            if what:
                b = "other numbers"
                kind = "NUMBERS DIFFER"
                if job["kind"] in ("net", "solver"):
                    words = set(re.findall(r"[\w.+-]+", (folder / name).read_text("utf-8")))
                    # What becomes of these, BVLC leaves to its BLAS.
                    if words & {"nan", "inf", "-inf", "1e+30", "-1e+30"}:
                        kind = "other numbers, from NaN, infinity or 1e30 in the text"
                    elif "e+38" in what:
                        kind = "other numbers, where sums leave float32's range"
                kinds[kind, ""].append(f"{name}: {what}")
        table[a, b] += 1
        if a not in ("ok", "refused"):
            kinds[a.upper(), _shorten(a_text)].append(f"{name}: {a_text[:400]}")
        elif compared and a == "ok" and b != "ok" and b != "other numbers":
            kinds[f"taken, BVLC: {b}", _shorten(b_text)].append(f"{name}: {b_text[:300]}")
        elif compared and a == "refused" and b == "ok":
            kinds["refused, BVLC takes it", _shorten(a_text)].append(f"{name}: {a_text[:300]}")
        peak = folder / f"{name}.peak"
        if peak.exists():
            size = (folder / name).stat().st_size
            if int(peak.read_text()) > 2 * size + SLACK:
                kinds["MEMORY", ""].append(f"{name}: {peak.read_text()} for {size}")
    return table, kinds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=2000, help="files of each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kind", choices=KINDS, action="append")
    parser.add_argument("--show", type=int, default=3, help="examples of each kind")
    parser.add_argument("--keep", help="folder for the files; default: a temporary one")
    given = parser.parse_args()
    bad = False
    for kind in given.kind or KINDS:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(given.keep or temporary).resolve() / kind
            folder.mkdir(parents=True)
            make_files(folder, kind, given.count, given.seed)
            run_ours(folder)
            compared = run_bvlc(folder)
            table, kinds = examine(folder, compared)
        print(f"\n{kind}: {given.count} files, seed {given.seed}")
        print("| this engine | BVLC Caffe | files |\n|---|---|---|")
        for (a, b), n in sorted(table.items(), key=lambda item: -item[1]):
            print(f"| {a} | {b or 'not asked'} | {n} |")
        by_kind = sorted(kinds.items(), key=lambda item: (item[0][0], -len(item[1])))
        for (what, text), found in by_kind:
            print(f"\n{len(found)} x {what}: {text}")
            for line in found[: given.show]:
                print(f"    {line}")
            bad |= what.isupper()
        failed = sum(len(found) for (what, _), found in by_kind if what.isupper())
        note = "one error, or what BVLC gives"
        if compared:
            rows.add("File formats", WHAT[kind], given.count, failed, note=note)
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
