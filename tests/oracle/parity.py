"""Run every comparison with BVLC Caffe, and write docs/parity.md from what they counted.

    python tests/oracle/parity.py [--root DIR] [--only compare.py,snapshots.py] [--jobs N] [--write]

Each script prints its own report and decides by its exit status; several run at a time, one on each
core. With --write the page is made anew; that needs all of them, and fails if one of BVLC Caffe's
layer types has no row.
"""

import argparse
import concurrent.futures
import datetime
import os
import platform
import subprocess
import sys
import tempfile

import numpy as np
import rows
from parity_notes import NOTES
from root import CHECKOUT, OracleMissing, check_complete, default_root
from sides import HERE, Bvlc

import caffe

sys.path.insert(0, CHECKOUT)
from fcn.markdown import wrap

PAGE = os.path.join(CHECKOUT, "docs", "parity.md")
# In the order of the page.
SCRIPTS = (
    "compare.py",
    "net_semantics_both.py",
    "snapshots.py",
    "trajectories.py",
    "solver_log.py",
    "surface.py",
    "pycaffe_both.py",
    "data_tools.py",
    "features.py",
    "tools.py",
    "whole_nets.py",
    "zoo.py",
    "fcn_both.py",
    "rows_both.py",
    "fcn_tests.py",
)
# Minutes instead of seconds: these begin first, so that none is left to run alone at the end.
LONG = ("rows_both.py", "zoo.py", "fcn_tests.py", "solver_log.py", "tools.py", "fcn_both.py")
HEADINGS = ("what", "cases", "differing", "largest difference / allowed", "compared")


def run(script, root, folder):
    """(exit status, path of the rows) of one script, whose report is printed when it is done."""
    path = os.path.join(folder, script + ".rows")
    env = {**os.environ, rows.VARIABLE: path}
    command = [sys.executable, os.path.join(HERE, script), "--root", root]
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    print(f"— {script}\n" + done.stdout.decode(errors="replace"), end="", flush=True)
    return done.returncode, path


def run_all(scripts, root, folder, jobs):
    """(names of the scripts that failed, all rows), both in the order of `scripts`."""
    order = sorted(scripts, key=lambda script: LONG.index(script) if script in LONG else len(LONG))
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        running = {script: pool.submit(run, script, root, folder) for script in order}
        results = [(script, *running[script].result()) for script in scripts]
    failed = [script for script, status, _ in results if status != 0]
    return failed, [row for _, _, path in results for row in rows.read(path)]


def layer_types(root):
    """What BVLC Caffe's layer_type_list() answers."""
    script = os.path.join(HERE, "list_types.py")
    done = Bvlc(root).run(script, [], capture_output=True, check=True)
    return done.stdout.decode().split()


def table(found):
    lines = ["| " + " | ".join(HEADINGS) + " |", "|---|---:|---:|---:|---|"]
    for row in found:
        worst = "" if row["worst"] is None else f"{row['worst']:.2g}"
        note = "; ".join(text for text in (row["note"], NOTES.get(row["name"])) if text)
        lines.append(f"| {row['name']} | {row['cases']} | {row['failed']} | {worst} | {note} |")
    return lines


def page(found, types):
    """The text of docs/parity.md."""
    layers = {row["name"] for row in found if row["section"] == "Layer types"} & set(types)
    agree = {row["name"] for row in found if row["name"] in layers and not row["failed"]}
    lines = [
        "# Parity with BVLC Caffe",
        "",
        "Made by `make parity`: every row was compared in that run with real BVLC Caffe 1.0 "
        "(Debian 11's package), never with itself.",
        "",
        f"- date: {datetime.date.today().isoformat()}",
        f"- engine: {caffe.__engine__}, Python {platform.python_version()}, "
        f"NumPy {np.__version__}, on the CPU",
        f"- layer types of BVLC Caffe: {len(types)}; without a difference beyond tolerance: "
        f"{len(agree)}",
        f"- cases in all: {sum(row['cases'] for row in found)}; "
        f"differing: {sum(row['failed'] for row in found)}",
        "",
        "Tolerance of one layer: |a − b| ≤ 1e-5 + 1e-4·max|a| over each array; of whole nets 1e-3 "
        "of each array's maximum. What is smaller than 1 in the fourth column is within it; where "
        "it is empty, things are equal or they are not.",
        "",
    ]
    for section in rows.SECTIONS:
        own = [row for row in found if row["section"] == section]
        if section == "Layer types":
            own.sort(key=lambda row: row["name"].lower())
        if own:
            lines += [f"## {section}", "", *table(own), ""]
    return wrap("\n".join(lines))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", default=default_root(), help="default: %(default)s")
    parser.add_argument("--only", help="comma-separated scripts; default: all")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count(), help="scripts at a time (default: %(default)s)"
    )
    parser.add_argument("--write", action="store_true", help="make docs/parity.md anew")
    arguments = parser.parse_args()
    scripts = arguments.only.split(",") if arguments.only else SCRIPTS
    if arguments.write and arguments.only:
        parser.error("--write needs all comparisons: leave --only out")
    try:
        check_complete(arguments.root)
    except OracleMissing as error:
        sys.exit(f"oracle: nothing was compared: {error}")
    with tempfile.TemporaryDirectory(prefix="parity-") as folder:
        failed, found = run_all(scripts, arguments.root, folder, arguments.jobs)
    types = layer_types(arguments.root)
    missing = [] if arguments.only else sorted(set(types) - {row["name"] for row in found})
    if missing:
        failed.append("no row for " + ", ".join(missing))
    if arguments.write:
        with open(PAGE + ".part", "w", encoding="utf-8") as stream:
            stream.write(page(found, types))
        os.replace(PAGE + ".part", PAGE)
    print(
        f"{sum(row['cases'] for row in found)} cases in {len(found)} rows; "
        + ("failed: " + "; ".join(failed) if failed else "all agree")
    )
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
