"""What a comparison counted: one row each for docs/parity.md, as JSON lines.

A script that compares calls `add` for everything it compared. Where the environment names no file
in ORACLE_ROWS, nobody asks for rows and nothing is written; parity.py sets it and reads the file.
"""

import json
import os

VARIABLE = "ORACLE_ROWS"
SECTIONS = (
    "Layer types",
    "Fillers",
    "Solvers",
    "Learning-rate policies",
    "Nets",
    "File formats",
    "Tools",
    "Logs",
    "Python interface",
    "FCN",
)


def add(section, name, cases, failed, worst=None, note=""):
    """Record one row.

    section: one of SECTIONS. cases: how many were compared. failed: how many of them differ.
    worst: the largest difference as a share of what is allowed; None where things are equal or
    not. note: what was compared, in words.
    """
    if section not in SECTIONS:
        raise ValueError("no section {!r}; sections: {}".format(section, ", ".join(SECTIONS)))
    path = os.environ.get(VARIABLE)
    if path:
        row = {
            "section": section,
            "name": name,
            "cases": int(cases),
            "failed": int(failed),
            "worst": None if worst is None else float(worst),
            "note": note,
        }
        with open(path, "a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")


def read(path):
    """Rows of a file, in order; empty where nothing was recorded."""
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]
