"""Which snapshots count: the whole ones, newest first."""

import json
import os

from fcn.atomic import replacing
from fcn.training.snapshots import Snapshots


class FakeSolver:
    """Writes what a solver's snapshot() writes, a few bytes each."""

    def __init__(self, snapshots):
        self.prefix, self.iter = snapshots.prefix, 0

    def snapshot(self):
        for suffix in ("caffemodel", "solverstate"):
            with open(f"{self.prefix}_iter_{self.iter}.{suffix}", "w") as f:
                f.write(f"{suffix} {self.iter}")


def taken(folder, iterations, keep=3):
    snapshots = Snapshots(os.path.join(str(folder), "run"), keep)
    solver = FakeSolver(snapshots)
    for solver.iter in iterations:
        snapshots.save(solver, {"seed": solver.iter + 0.5})
    return snapshots


def test_the_last_few_are_kept(tmp_path):
    snapshots = taken(tmp_path, [4, 8, 12, 100], keep=2)
    names = sorted(os.listdir(snapshots.folder))
    assert len(names) == 6 and all("_iter_12." in n or "_iter_100." in n for n in names)
    path, state = snapshots.newest()
    assert path.endswith("train_iter_100.solverstate")
    assert state["iter"] == 100 and state["seed"] == 100.5


def test_what_is_not_whole_does_not_count(tmp_path):
    snapshots = taken(tmp_path, [1, 2, 3, 4], keep=9)
    file = "{}_iter_{}.{}".format
    os.remove(file(snapshots.prefix, 4, "json"))  # killed before the JSON
    assert snapshots.newest()[1]["iter"] == 3
    with open(file(snapshots.prefix, 3, "caffemodel"), "a") as f:
        f.write("x")  # another size than the JSON says
    assert snapshots.newest()[1]["iter"] == 2
    with open(file(snapshots.prefix, 2, "json"), "w") as f:
        f.write('{"iter": 2, "si')  # half a JSON
    assert snapshots.newest()[1]["iter"] == 1
    os.remove(file(snapshots.prefix, 1, "solverstate"))
    assert snapshots.newest() is None


def test_what_a_killed_run_left_is_removed_and_takes_no_place(tmp_path):
    snapshots = taken(tmp_path, [1, 2, 3], keep=2)
    file = "{}_iter_{}.{}".format
    os.remove(file(snapshots.prefix, 3, "json"))  # killed before the JSON
    with open(file(snapshots.prefix, 7, "solverstate"), "w") as f:  # killed while removing
        f.write("x")
    solver = FakeSolver(snapshots)
    solver.iter = 4
    snapshots.save(solver, {})
    names = os.listdir(snapshots.folder)
    assert sorted(names) == sorted(
        f"train_iter_{i}.{s}" for i in (2, 4) for s in ("caffemodel", "solverstate", "json")
    ), names


def test_another_format_does_not_count(tmp_path):
    snapshots = taken(tmp_path, [5])
    path = f"{snapshots.prefix}_iter_5.json"
    with open(path) as f:
        state = json.load(f)
    state["format"] += 1
    with open(path, "w") as f:
        json.dump(state, f)
    assert snapshots.newest() is None


def test_another_runs_snapshots_go_when_the_new_one_is_whole(tmp_path):
    snapshots = taken(tmp_path, [5, 6])
    solver = FakeSolver(snapshots)
    solver.iter = 2
    assert snapshots.newest()[1]["iter"] == 6
    snapshots.save(solver, {"run": "2026-01-01T00:00:00Z"})
    assert snapshots.newest()[1]["iter"] == 2
    assert len(os.listdir(snapshots.folder)) == 3


def test_replacing_leaves_the_old_file_on_an_error(tmp_path):
    path = os.path.join(str(tmp_path), "file")
    with open(path, "w") as f:
        f.write("old")
    try:
        with replacing(path) as temporary:
            with open(temporary, "w") as f:
                f.write("half")
            raise KeyError("stop")
    except KeyError:
        pass
    with open(path) as f:
        assert f.read() == "old"
    assert os.listdir(str(tmp_path)) == ["file"]
