"""Snapshots of a training run that are either whole or not there.

A snapshot is Caffe's own pair, train_iter_N.caffemodel and train_iter_N.solverstate, and beside it
train_iter_N.json with what Caffe does not keep: the position of the data layers, the seed, the
losses being averaged. The JSON is written last, after the pair is on disk, and names the size of
both files: where it is missing or disagrees, the snapshot does not count. What a killed run left of
such a snapshot is removed at the next one.
"""

import json
import os
import re

from atomic import flush, write_text

FORMAT = 1
_FILE = re.compile(r"train_iter_(\d+)\.(json|caffemodel|solverstate)$")


class Snapshots:
    """The snapshots in one folder; `keep` is how many of the newest stay."""

    def __init__(self, folder, keep=3):
        self.folder = folder
        self.keep = keep

    @property
    def prefix(self):
        """What the solver's `snapshot_prefix` must be."""
        return os.path.join(self.folder, "train")

    def _path(self, iteration, suffix):
        return f"{self.prefix}_iter_{iteration}.{suffix}"

    def save(self, solver, state):
        """Snapshot the solver together with `state`, which JSON must be able to hold."""
        os.makedirs(self.folder, exist_ok=True)
        iteration = solver.iter
        sidecar = self._path(iteration, "json")
        if os.path.exists(sidecar):  # it must not vouch for files that are about to be rewritten
            os.remove(sidecar)
            flush(self.folder)
        solver.snapshot()
        sizes = {}
        for suffix in ("caffemodel", "solverstate"):
            path = self._path(iteration, suffix)
            flush(path)
            sizes[suffix] = os.path.getsize(path)
        content = dict(state, format=FORMAT, iter=iteration, sizes=sizes)
        write_text(sidecar, json.dumps(content, indent=1, sort_keys=True) + "\n")
        self._prune()

    def newest(self):
        """(path of the solverstate, state) of the newest whole snapshot, or None."""
        for iteration in self._iterations():
            state = self._state(iteration)
            if state is not None:
                return self._path(iteration, "solverstate"), state
        return None

    def _iterations(self):
        """The iterations that have any file, newest first."""
        if not os.path.isdir(self.folder):
            return []
        matches = (_FILE.match(name) for name in os.listdir(self.folder))
        return sorted({int(m.group(1)) for m in matches if m}, reverse=True)

    def _state(self, iteration):
        try:
            with open(self._path(iteration, "json"), encoding="utf-8") as f:
                state = json.load(f)
            whole = all(
                os.path.getsize(self._path(iteration, suffix)) == size
                for suffix, size in state["sizes"].items()
            )
        except (OSError, ValueError, KeyError):
            return None
        return state if whole and state.get("format") == FORMAT else None

    def _prune(self):
        iterations = self._iterations()
        whole = [i for i in iterations if self._state(i) is not None]
        for iteration in set(iterations) - set(whole[: self.keep]):
            self._remove(iteration)

    def clear(self):
        """Remove every snapshot in the folder."""
        for iteration in self._iterations():
            self._remove(iteration)

    def _remove(self, iteration):
        # The JSON first: it vouches for the others.
        for suffix in ("json", "solverstate", "caffemodel"):
            path = self._path(iteration, suffix)
            if os.path.exists(path):
                os.remove(path)
