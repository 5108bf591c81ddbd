"""Scores as JSON lines: one object per scoring, in <out>/<experiment>.jsonl or scores.jsonl."""

from __future__ import annotations

import errno
import json
import math
import os
import time
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING, Any

import caffe
from fcn.atomic import replacing

if TYPE_CHECKING:
    from fcn.scoring.evaluate import Score

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


def engine() -> str:
    """Which program computed: our engine says so itself, BVLC's has nothing of the kind."""
    return getattr(caffe, "__engine__", "BVLC Caffe {}".format(getattr(caffe, "__version__", "")))


def record(score: Score, **more: Any) -> dict[str, Any]:
    """The fields of a result from a `score.Score`."""
    m = score.metrics
    return dict(
        more,
        engine=engine(),
        time=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        loss=_number(score.loss),
        overall_accuracy=_number(m.overall_accuracy),
        mean_accuracy=_number(m.mean_accuracy),
        mean_iu=_number(m.mean_iu),
        fwavacc=_number(m.fwavacc),
        iu=[_number(v) for v in m.iu],
        accuracy=[_number(v) for v in m.accuracy],
        pixels=int(score.hist.sum()),
    )


def _number(value: float) -> float | None:
    """JSON has no NaN: a class that does not count is null."""
    return None if math.isnan(value) else float(value)


def append(path: str, result: dict[str, Any]) -> None:
    """Add one result, from `record`, as a line.

    What a full disk left of an earlier line is cut away first, so that the two do not join; where
    this one does not fit, the file is as it was, and the OSError names it.
    """
    os.makedirs(os.path.dirname(path), exist_ok=True)
    line = (json.dumps(result) + "\n").encode("utf-8")
    # Unbuffered: a failed write must not be tried again when the file is closed.
    with open(path, "a+b", buffering=0) as f:
        if fcntl is not None:
            fcntl.flock(f, fcntl.LOCK_EX)  # two score.py may share a scores.jsonl
        whole = _whole_lines(f)
        f.truncate(whole)
        try:
            written = f.write(line)
            if written < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            f.truncate(whole)
            raise OSError(error.errno, error.strerror, path) from error


def _whole_lines(file: IO[bytes]) -> int:
    """How many bytes of an opened file are whole lines."""
    end = file.seek(0, os.SEEK_END)
    while end > 0:
        start = max(0, end - 65536)
        file.seek(start)
        last = file.read(end - start).rfind(b"\n")
        if last >= 0:
            return start + last + 1
        end = start
    return 0


def read(path: str) -> list[dict[str, Any]]:
    """The results in a file. What is no whole line of JSON does not count: a full disk cuts one."""
    return [result for _, result in _lines(path) if result is not None]


def _lines(path: str) -> list[tuple[str, dict[str, Any] | None]]:
    """[(line, its result or None)] of a file."""
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8", errors="surrogateescape") as f:
        return [(line, _parsed(line)) for line in f if line.endswith("\n")]


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        result = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return result if isinstance(result, dict) else None


def forget_after(path: str, run: str, iteration: int) -> None:
    """Drop what `run` wrote after `iteration`: resumed there, it will score the same again."""
    kept = [line for line, r in _lines(path) if r is None or not _is_after(r, run, iteration)]
    if os.path.exists(path):
        with replacing(path) as temporary:
            with open(
                temporary, "w", encoding="utf-8", errors="surrogateescape", newline="\n"
            ) as f:
                f.writelines(kept)


def _is_after(result: dict[str, Any], run: str, iteration: int) -> bool:
    done = result.get("iter")
    return result.get("run") == run and isinstance(done, int) and done > iteration


def best(path: str, run: str, output: str) -> float:
    """The best mean IU of a run's scores of one output; minus infinity where it has none."""
    found = [
        r.get("mean_iu") for r in read(path) if (r.get("run"), r.get("output")) == (run, output)
    ]
    return max((iu for iu in found if isinstance(iu, (int, float))), default=-math.inf)


def last(path: str, output: str) -> tuple[int | None, str] | None:
    """(step, mean IU as text) of the last scores of one output; None where there are none."""
    found = [r for r in read(path) if r.get("output") == output]
    if not found:
        return None
    iu = found[-1].get("mean_iu")
    return found[-1].get("iter"), f"{iu:.4f}" if isinstance(iu, (int, float)) else "unknown"


def summary(score: Score) -> str:
    """The measures as people read them: one line, four digits."""
    m = score.metrics
    return (
        f"mean IU {m.mean_iu:.4f}, overall accuracy {m.overall_accuracy:.4f}, mean accuracy "
        f"{m.mean_accuracy:.4f}, fwavacc {m.fwavacc:.4f}, loss {score.loss:.4g}"
    )


def table(score: Score, names: Sequence[str] | None = None) -> str:
    """Per-class IU as text, one class a line."""
    lines = []
    for i, iu in enumerate(score.metrics.iu):
        name = names[i] if names else f"class {i}"
        value = "absent" if math.isnan(iu) else f"{100 * iu:6.2f} %"
        lines.append(f"    {name:<16} {value}")
    return "\n".join(lines)
