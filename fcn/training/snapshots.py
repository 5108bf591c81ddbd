"""Snapshots of a training run that are either whole or not there.

A snapshot is Caffe's own pair, train_iter_N.caffemodel and train_iter_N.solverstate, and beside it
train_iter_N.json with what Caffe does not keep: the position of the data layers, the seed, the
losses being averaged. The JSON is written last, after the pair is on disk, and names the size and
the SHA-256 of both files: where it is missing or disagrees, the snapshot does not count. What a
killed run left of such a snapshot is removed at the next one.

The newest three of a run stay. Those of an earlier run in the same folder stay until the new run
has a snapshot of its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from typing import Any

from fcn.atomic import flush, write_text

FORMAT = 1
PAIR = ("caffemodel", "solverstate")
_FILE = re.compile(r"train_iter_(\d+)\.(json|caffemodel|solverstate)$")


class Snapshots:
    """The snapshots in one folder; `keep` is how many of the newest stay."""

    def __init__(self, folder: str, keep: int = 3) -> None:
        self.folder = folder
        self.keep = keep

    @property
    def prefix(self) -> str:
        """What the solver's `snapshot_prefix` must be."""
        return os.path.join(self.folder, "train")

    def _path(self, iteration: int, suffix: str) -> str:
        return f"{self.prefix}_iter_{iteration}.{suffix}"

    def save(self, solver: Any, state: dict[str, Any]) -> None:
        """Snapshot the solver together with `state`, which JSON must be able to hold.

        state["run"], where it is there, names the run: others' snapshots go when this one is whole.
        """
        os.makedirs(self.folder, exist_ok=True)
        iteration = solver.iter
        sidecar = self._path(iteration, "json")
        if os.path.exists(sidecar):  # it must not vouch for files that are about to be rewritten
            os.remove(sidecar)
            flush(self.folder)
        solver.snapshot()
        sizes, sums = {}, {}
        for suffix in PAIR:
            path = self._path(iteration, suffix)
            flush(path)
            sizes[suffix], sums[suffix] = os.path.getsize(path), _sha256(path)
        content = dict(state, format=FORMAT, iter=iteration, sizes=sizes, sha256=sums)
        write_text(sidecar, json.dumps(content, indent=1, sort_keys=True) + "\n")
        self._prune(state.get("run"))

    def newest(self) -> tuple[str, dict[str, Any]] | None:
        """(path of the solverstate, state) of the newest whole snapshot, or None.

        The newest is the furthest of the run that began last.
        """
        states = (self._state(iteration) for iteration in self._iterations())
        whole = [state for state in states if state is not None]
        # Stable: of one run the iterations stay in their order.
        for state in sorted(whole, key=lambda state: str(state.get("run", "")), reverse=True):
            if self._is_intact(state):
                return self._path(state["iter"], "solverstate"), state
        return None

    def _iterations(self) -> list[int]:
        """The iterations that have any file, newest first."""
        if not os.path.isdir(self.folder):
            return []
        matches = (_FILE.match(name) for name in os.listdir(self.folder))
        return sorted({int(m.group(1)) for m in matches if m}, reverse=True)

    def _state(self, iteration: int) -> dict[str, Any] | None:
        """What the JSON of an iteration says; None if the pair is not there in the sizes it names.

        A JSON that holds anything else than `save` writes is no snapshot's either.
        """
        try:
            with open(self._path(iteration, "json"), encoding="utf-8") as f:
                state = json.load(f)
            whole = (state["format"], state["iter"]) == (FORMAT, iteration) and all(
                os.path.getsize(self._path(iteration, suffix)) == state["sizes"][suffix]
                for suffix in PAIR
            )
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            return None
        return state if whole else None

    def _is_intact(self, state: dict[str, Any]) -> bool:
        """Whether the pair holds the bytes that were written, as far as the JSON has sums of it."""
        sums = state.get("sha256")
        return sums is None or all(
            _sha256(self._path(state["iter"], suffix)) == sums[suffix] for suffix in PAIR
        )

    def _prune(self, run: str | None) -> None:
        iterations = self._iterations()
        states = ((i, self._state(i)) for i in iterations)
        whole = [i for i, state in states if state is not None and state.get("run") == run]
        for iteration in set(iterations) - set(whole[: self.keep]):
            self._remove(iteration)

    def _remove(self, iteration: int) -> None:
        # The JSON first: it vouches for the others.
        for suffix in ("json", "solverstate", "caffemodel"):
            path = self._path(iteration, suffix)
            if os.path.exists(path):
                os.remove(path)


def _sha256(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()
