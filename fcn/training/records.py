"""What a run leaves to look at, in its folder <out>/<experiment>/:

    run.json       what it is: settings, seed, revision, versions, classes and their colours
    log.txt        what it printed
    train.csv      loss and rate, a row every 20 steps
    results.csv    a row for each scoring of val: loss, rate, the measures, the IU of each class
    curves.png     both as curves
    samples.jpg    some images of val, their truth, and their labels in the course of the run
    samples/       the same as single files
    scored/STEP/   of that scoring the confusion matrix, each image's measures, and the best and the
                   worst images (these of the newest scoring and of the best one)
    tensorboard/   event files, with --tensorboard

All of it follows the snapshots: a resumed run has what it would have had without the interruption,
each row once. results.csv is written anew from <out>/<experiment>.jsonl, the others are cut at the
step of the snapshot. A new run that takes another's place (--restart) moves these files to earlier/
until it has a snapshot of its own; before that, --resume would continue the other.
"""

import csv
import io
import json
import os
import re
import shutil
from typing import Any, Optional

from bootstrap import shown
from fcn.atomic import replacing, write_text
from fcn.errors import StartError
from fcn.scoring import results

__all__ = ["Records", "read_rows", "step_name"]

RUN, LOG, TRAIN, RESULTS = "run.json", "log.txt", "train.csv", "results.csv"
CURVES, SHEET = "curves.png", "samples.jpg"
SAMPLES, SCORED, BOARD = "samples", "scored", "tensorboard"
EARLIER = "earlier"
ALL = (RUN, LOG, TRAIN, RESULTS, CURVES, SHEET, SAMPLES, SCORED, BOARD)

#: The columns of results.csv before those of the classes, and their fields in the JSON lines.
MEASURES = {
    "step": "iter",
    "loss": "loss",
    "rate": "rate",
    "mean_iu": "mean_iu",
    "overall_accuracy": "overall_accuracy",
    "mean_accuracy": "mean_accuracy",
    "fwavacc": "fwavacc",
    "train_loss_per_pixel": "train_loss",
    "seconds": "seconds",
}
STEPS = ("step", "loss", "loss_per_pixel", "rate")


#: The column of tables that holds names of images.
IMAGE = "image"


def step_name(step: int) -> str:
    """The name of a step in names of files, which sorts as the number does."""
    return f"{step:07d}"


def read_rows(path: str) -> list[dict[str, Any]]:
    """The whole rows of a CSV, values as numbers where they are; [] where there is no file.

    Names of images stay text: 007 is not 7, and 0016E5_00390 not infinite.

    A last line without its end, as a killed run leaves it, does not count. StartError: no CSV.
    """
    if not os.path.exists(path):
        return []
    try:
        with open(path, encoding="utf-8", newline="") as f:
            text = f.read()
        whole = text[: text.rfind("\n") + 1]
        return [
            {key: value if key == IMAGE else _value(value) for key, value in row.items()}
            for row in csv.DictReader(io.StringIO(whole))
            if None not in row and None not in row.values()
        ]
    except (csv.Error, UnicodeDecodeError) as error:
        raise StartError(f"{shown(path)} is no table that solve.py writes: {error}") from error


def _value(text: str) -> Any:
    if text == "":
        return None
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return text


def _short(value: Any) -> Any:
    """Six digits of a fraction say all that a table can."""
    return f"{value:.6g}" if isinstance(value, float) else value


def _text(rows: list[list[Any]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()


def write_rows(path: str, heading: list[str], rows: list[list[Any]]) -> None:
    """Write a CSV, whole or not at all. None is an empty field."""
    with replacing(path, durable=False) as temporary:
        with open(temporary, "w", encoding="utf-8", newline="") as f:
            f.write(_text([heading, *rows]))


class Records:
    """The files of one run in `folder`; log: the JSON lines of its scores.

    names: of the classes of each output, {label: names}; the first output's are in results.csv,
    others' in results_LABEL.csv.
    """

    def __init__(self, folder: str, log: str, names: dict[str, list[str]]) -> None:
        self.folder, self.log, self.names = folder, log, names
        self.run = ""

    def path(self, *parts: str) -> str:
        return os.path.join(self.folder, *parts)

    def begin(self, run: str, facts: dict[str, Any]) -> None:
        """A new run begins: `facts` go to run.json."""
        os.makedirs(self.folder, exist_ok=True)
        if os.path.isdir(self.path(EARLIER)):
            _remove(self.folder)  # of a run that had no snapshot yet
        elif any(os.path.exists(self.path(name)) for name in ALL):
            os.mkdir(self.path(EARLIER))
            _move(self.folder, self.path(EARLIER))
        self.run = run
        self._write_facts(dict(facts, run=run, resumed=[]))

    def resume(self, run: str, step: int, facts: dict[str, Any]) -> None:
        """A run goes on from its snapshot of `step`: what it wrote after that is cut away."""
        os.makedirs(self.folder, exist_ok=True)
        if self._run_of(self.path(EARLIER)) == run:
            _remove(self.folder)
            _move(self.path(EARLIER), self.folder)
            os.rmdir(self.path(EARLIER))
        self.run = run
        before = self.facts() or {"run": run}
        told = ("time", "command", "versions", "git")
        again = {"step": step, **{key: facts[key] for key in told if key in facts}}
        self._write_facts({**facts, **before, "resumed": [*before.get("resumed", []), again]})
        rows = read_rows(self.path(TRAIN))
        kept = [row for row in rows if isinstance(row.get("step"), int) and row["step"] <= step]
        if os.path.exists(self.path(TRAIN)):
            write_rows(self.path(TRAIN), list(STEPS), [list(row.values()) for row in kept])
        self._cut_files(step)
        self.write_results()

    def _cut_files(self, step: int) -> None:
        for folder in [self.path(SCORED), *_folders(self.path(SAMPLES))]:
            for entry in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
                found = re.match(r"(\d+)(\.png)?$", entry)
                if found and int(found.group(1)) > step:
                    path = os.path.join(folder, entry)
                    shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)

    def settled(self) -> None:
        """The run has a snapshot: what it replaced can go."""
        shutil.rmtree(self.path(EARLIER), ignore_errors=True)

    def facts(self) -> Optional[dict[str, Any]]:
        """What run.json holds; None where there is none that can be read."""
        return _facts(self.folder)

    def took(self, seconds: float) -> None:
        """A call of the run ends after so many seconds; run.json adds them up."""
        facts = self.facts() or {}
        before = facts.get("seconds")
        whole = seconds + (before if isinstance(before, (int, float)) else 0)
        self._write_facts(dict(facts, seconds=round(whole, 1)))

    def _write_facts(self, facts: dict[str, Any]) -> None:
        write_text(self.path(RUN), json.dumps(facts, indent=1, ensure_ascii=False) + "\n")

    def _run_of(self, folder: str) -> Any:
        return (_facts(folder) or {}).get("run")

    def step(self, step: int, loss: float, per_pixel: float, rate: Optional[float]) -> None:
        """Add a row to train.csv; what the row before lacks of its end is cut away first."""
        path = self.path(TRAIN)
        new = not os.path.exists(path) or os.path.getsize(path) == 0
        numbers = (f"{loss:.7g}", f"{per_pixel:.6g}", "" if rate is None else f"{rate:.6g}")
        with open(path, "a", encoding="utf-8", newline="") as f:
            f.write(_text([list(STEPS)] * new + [[step, *numbers]]))

    def write_results(self) -> None:
        """Write results.csv from the JSON lines of this run."""
        for i, (label, names) in enumerate(self.names.items()):
            lines = self.results(label)
            path = self.path(RESULTS if i == 0 else f"results_{label}.csv")
            if lines or os.path.exists(path):
                rows = [
                    [_short(value) for value in [*map(line.get, MEASURES.values()), *line["iu"]]]
                    for line in lines
                ]
                write_rows(path, [*MEASURES, *(f"iu_{name}" for name in names)], rows)

    def results(self, label: str) -> list[dict[str, Any]]:
        """The scores of one output in this run, in order; of a step scored twice the last."""
        found = {
            line["iter"]: line
            for line in results.read(self.log)
            if (line.get("run"), line.get("output")) == (self.run, label)
            and isinstance(line.get("iter"), int)
            and isinstance(line.get("iu"), list)
        }
        return [found[step] for step in sorted(found)]

    def write_confusion(self, step: int, label: str, hist: Any) -> None:
        """The histogram of a scoring: rows are the truth, columns what was found."""
        names = self.names[label]
        first = label == next(iter(self.names))
        path = self.path(SCORED, step_name(step), f"confusion{'' if first else '_' + label}.csv")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        rows = [[name, *(int(v) for v in row)] for name, row in zip(names, hist)]
        write_rows(path, ["truth \\ found", *names], rows)


def _facts(folder: str) -> Optional[dict[str, Any]]:
    try:
        with open(os.path.join(folder, RUN), encoding="utf-8") as f:
            found = json.load(f)
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _folders(folder: str) -> list[str]:
    if not os.path.isdir(folder):
        return []
    paths = [os.path.join(folder, entry) for entry in sorted(os.listdir(folder))]
    return [path for path in paths if os.path.isdir(path)]


def _entries(folder: str) -> list[str]:
    """What in a folder is a run's record."""
    there = sorted(os.listdir(folder))
    return [name for name in there if name in ALL or re.fullmatch(r"results_\w+\.csv", name)]


def _move(source: str, target: str) -> None:
    for name in _entries(source):
        os.replace(os.path.join(source, name), os.path.join(target, name))


def _remove(folder: str) -> None:
    for name in _entries(folder):
        path = os.path.join(folder, name)
        shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)
