"""The training loop that every solve.py calls: steps and scoring in turn, until all steps are done.

A run writes to <out> (default: out/ here, or of a net of the user's own in its folder):
    <experiment>.caffemodel       the final weights, from which the next stage starts
    <experiment>-best.caffemodel  those with the best mean IU on val: infer.py and score.py use them
    <experiment>.jsonl            one line per scoring of val
    <experiment>/                 the prototxts as used, the newest snapshots, the best so far, and
                                  tables, curves and pictures: see `fcn.training.records`
    <experiment>.lock             while the run lasts

Nothing of a finished run is replaced unless --restart says so, and then only when the new run has
the same of its own: snapshots at its first, the weights at its end.

Resuming is exact: killed anywhere and resumed, a run on the CPU ends with the same bytes. For that
the random generator is seeded before every step with seed + iteration, so that it needs no saving
(pycaffe offers no way to); and snapshots keep what Caffe's do not (`fcn.training.snapshots`).
"""

from __future__ import annotations

import argparse
import gc
import math
import os
import signal
import sys
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

import bootstrap
import caffe
import data
from bootstrap import shown
from fcn import catalog, device, options, run_files
from fcn.atomic import replacing, write_text
from fcn.build import widened
from fcn.console import unread
from fcn.engine import all_finite, deferred
from fcn.errors import USER_ERRORS, Diverged, StartError
from fcn.lock import locked
from fcn.prototxt import read_solver
from fcn.scoring import results
from fcn.training import environment, initial, records
from fcn.training.board import Board
from fcn.training.earlier import check_nothing_is_lost, check_resumable, new_state
from fcn.training.log import Log
from fcn.training.next_steps import commands
from fcn.training.progress import Progress, duration
from fcn.training.records import Records
from fcn.training.scorings import Scorings
from fcn.training.snapshots import Snapshots
from fcn.training.stopping import Stopping
from fcn.training.time_limit import TimeLimit, continued
from fcn.weights import find

if TYPE_CHECKING:
    from fcn.catalog.experiment import Experiment


def main(name: str, argv: Sequence[str] | None = None, tell_next: bool = True) -> int:
    """Train one experiment; returns the exit code: 0, 1 after an error, 130 when interrupted.

    tell_next: say at the end which commands go on from there.
    """
    try:
        experiment = run_files.experiment(name)
        args = options.parser(experiment).parse_args(argv)
        bootstrap.enter()
        # A reader that went away or a full disk behind the output ends no training.
        with unread():
            return Run(experiment, args, tell_next).train()
    except USER_ERRORS as e:
        print(f"error: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped at once, without a snapshot", file=sys.stderr)
        return 128 + signal.SIGINT


class Run:
    """One call of a solve.py."""

    def __init__(
        self, experiment: Experiment, args: argparse.Namespace, tell_next: bool = True
    ) -> None:
        self.experiment, self.args, self.tells_next = experiment, args, tell_next
        args.out = args.out or find.out_of(experiment)
        self.folder = _from_root(os.path.join(args.out, experiment.name))
        self.final = os.path.join(args.out, experiment.name + ".caffemodel")
        self.best = os.path.join(args.out, experiment.name + "-best.caffemodel")
        self.best_so_far = os.path.join(args.out, experiment.name, "best.caffemodel")
        self.log = os.path.join(args.out, experiment.name + ".jsonl")
        self.snapshots = Snapshots(self.folder, args.keep)
        self.outputs = experiment.dataset.outputs
        self.classes = data.names_of(experiment.dataset)
        names = {o.label: list(getattr(self.classes, o.names)) for o in self.outputs}
        self.records = Records(self.folder, self.log, names)
        self.board = Board(self.records.path(records.BOARD)) if args.tensorboard else None
        self.scorings = Scorings(experiment, self.records, self.board, self.folder, self.log)
        #: Of the step before.
        self.rate: float | None = None
        fields = dict(experiment.schedule.fields)
        self.window = fields["average_loss"]
        self.snapshot_every = args.snapshot_every or experiment.schedule.snapshot_every
        self.score_every = args.score_every or experiment.schedule.score_every
        if args.minutes and not args.score_every:
            self.score_every = math.inf  # when the time limit says so, and at the end
        self.stopping = Stopping()
        #: What a resumed run must have alike to end with the same bytes.
        self.computes = {
            "threads": device.threads(),
            "device": "CPU" if args.gpu is None else "a GPU",
        }

    def train(self) -> int:
        """Train from where the command line says; returns the exit code."""
        os.makedirs(self.args.out, exist_ok=True)
        busy = f"another run of {self.experiment.name} writes to {shown(self.args.out)}: wait for "
        busy += "it, or give this one another --out"
        with locked(os.path.join(self.args.out, self.experiment.name + ".lock"), busy):
            return self._train()

    def _train(self) -> int:
        args = self.args
        found = self.snapshots.newest()
        if args.resume:
            if found is None:
                raise StartError(f"nothing to resume: no whole snapshot in {self._where()}")
            path, state = found
            check_resumable(state, args, self.computes, self._where())
        else:
            path = None
            if not args.restart:
                label = self.outputs[0].label
                check_nothing_is_lost(self.final, self.log, label, found, self._where())
            state = new_state(self.experiment.schedule.steps, args.seed)
            files = initial.weights_files(self.experiment, args.weights, args.out)
        self.steps = args.steps or state["steps"]
        self.base_lr = state.get("base_lr")
        self.seed, self.run = state["seed"], state["run"]
        self.data = run_files.folders_of(self.experiment, args.data) or state.get("data", {})
        began = time.time()
        with Log() as log:
            self._build()
            if path:
                initial.restore(self.solver, path, state)
                results.forget_after(self.log, self.run, self.solver.iter)
                self.scorings.resume(self.run)
                self.records.resume(self.run, self.solver.iter, self._facts())
                print(f"resumed from {shown(os.path.abspath(path))}")
            else:
                initial.fresh(
                    self.net,
                    files,
                    widened(self.experiment),
                    args.replace_scores,
                    initial.classes_of(self.experiment),
                )
                weights = [os.path.abspath(file) for file, _ in files]
                self.records.begin(self.run, dict(self._facts(), weights=weights))
            log.keep(self.records.path(records.LOG))
            self._keep_prototxts()
            try:
                return self._loop(state["losses"], began)
            finally:
                if self.board:
                    self.board.close()

    def _facts(self) -> dict[str, Any]:
        """What run.json says of a run when it begins."""
        return environment.facts(
            self.experiment,
            self.records.names[self.outputs[0].label],
            np.asarray(self.classes.PALETTE),
            train_images=self.train_images,
            val_images=len(self.val),
            steps=self.steps,
            seed=self.seed,
            data=self.data,
            precision=self.args.precision or "fp32",
            **self.computes,
        )

    def _keep_prototxts(self) -> None:
        """Copies of the nets that the run did not need to change: its folder holds all of it."""
        named = (("train", self.param.train_net), ("val", self.param.test_net[0]))
        for phase, path in (*named, ("deploy", catalog.net_path(self.experiment.name, "deploy"))):
            copy = self.records.path(phase + ".prototxt")
            if os.path.abspath(path) != os.path.abspath(copy):
                with open(path, encoding="utf-8") as f:
                    write_text(copy, f.read())

    def _where(self) -> str:
        return shown(os.path.abspath(self.folder))

    def _build(self) -> None:
        """The solver, its nets, and what is known about them."""
        where = device.use(self.args.gpu, self.args.precision) + device.hint(self.args.gpu)
        print(f"{self.experiment.name} on {results.engine()}, {where}", flush=True)
        path = run_files.solver(
            self.experiment,
            self.folder,
            self.snapshots.prefix,
            self.data,
            self.steps,
            self.seed,
            self.args.workers,
            self.base_lr,
        )
        self.param = read_solver(path)
        self.solver: Any = caffe.get_solver(path)
        self.net: Any = self.solver.net  # once: on BVLC Caffe every access makes a new wrapper
        self.normalized = run_files.loss_is_normalized(self.param.train_net)
        self.train_images = len(run_files.images(self.net))
        self.val = run_files.images(self.solver.test_nets[0])

    def _tell_plan(self) -> None:
        at_a_time = self.net.blobs[self.outputs[0].label].shape[0] * self.param.iter_size
        print(
            f"{self.train_images} images to train on, {len(self.val)} to validate; {self.steps} "
            f"steps of {at_a_time} are {self.steps * at_a_time / self.train_images:.1f} epochs; "
            f"results go to {shown(self.args.out)}",
            flush=True,
        )

    def _loop(self, losses: Iterable[Sequence[float]], began: float) -> int:
        self._tell_plan()
        self.scorings.begin()
        progress = Progress(
            self.solver.iter,
            self.steps,
            self.window,
            losses=losses,
            epoch=self.train_images,
            told=self.scorings.step,
        )
        limit = TimeLimit(self.args.minutes)
        with self.stopping:
            try:
                self._clock = time.time()
                while self.solver.iter < self.steps:
                    self._step(progress)
                    self._keep_to(limit, progress)
                    solver = self.solver
                    done = solver.iter == self.steps
                    due = not self.args.score_every and limit.scoring_is_due(
                        self.scorings.takes(len(self.val), progress.seconds_per_image)
                    )
                    if done or due or solver.iter % self.score_every == 0:
                        progress.pause()
                        progress.read()  # of weights that diverged no score is kept
                        self._score(progress)
                        self._clock = time.time()
                    if done or self.stopping.signal or solver.iter % self.snapshot_every == 0:
                        self._snapshot(progress)
                        self._clock = time.time()
                    if self.stopping.signal and not done:
                        break
            finally:
                progress.pause()
        if self.solver.iter < self.steps:
            where = f"{self.solver.iter} of {self.steps}"
            print(self._took(began))
            print(f"stopped at step {where}, with a snapshot; --resume continues")
            return 128 + (self.stopping.signal or 0)
        if os.path.exists(self.best_so_far):
            os.replace(self.best_so_far, self.best)
        self._save_weights(self.final)
        print(self._took(began))
        print(f"wrote {shown(self.final)}")
        if os.path.exists(self.best):
            print(f"wrote {shown(self.best)}, the best on val: mean IU {self.scorings.best_iu:.4f}")
        if self.tells_next:
            self._tell_next()
        return 0

    def _took(self, began: float) -> str:
        """How long this call took, and what of it."""
        whole = time.time() - began
        self.records.took(whole)
        where = shown(os.path.abspath(self.folder))
        return f"{duration(whole)} in all; {self.scorings.shares(whole)}: {where}"

    def _tell_next(self) -> None:
        told = commands(self.experiment, self.args.out, self.best, self._where(), self.args.data)
        for word, command in zip(("next:", "  or:", "  or:"), told):
            print(word, command)

    def _keep_to(self, limit: TimeLimit, progress: Progress) -> None:
        """Change the number of steps to what fits into the time limit, and the rate with it."""
        done = self.solver.iter
        if limit.over and done < self.steps:
            progress.pause()
            print(f"the time is up at step {done} of {self.steps}; its rate did not reach the end")
            self.steps = done
            return
        steps = limit.steps(done, self.steps)
        if steps is None or done == self.steps:
            return
        progress.pause()
        print(f"{steps} steps fit into the time, instead of {self.steps}")
        self.base_lr = continued(self.param, done, self.steps, steps)
        self.steps = progress.total = steps
        self._snapshot(progress)
        found = self.snapshots.newest()
        if found is None:
            raise StartError(f"the snapshot that was just written to {self._where()} is gone")
        path, state = found
        # The rate of a schedule is a solver's from its beginning: another number needs another.
        self.solver = self.net = None
        gc.collect()  # the old nets' memory, and their processes
        self._build()
        initial.restore(self.solver, path, state)
        self._clock = time.time()

    def _save_weights(self, path: str) -> None:
        with replacing(path) as temporary:
            self.net.save(temporary)

    def _step(self, progress: Progress) -> None:
        solver, net = self.solver, self.net
        # Reading it under "multistep" would advance the policy, here and in BVLC Caffe.
        rate = None if self.param.lr_policy == "multistep" else getattr(solver, "lr", None)
        self.rate = rate
        caffe.set_random_seed(self.seed + solver.iter)
        solver.step(1)
        done = solver.iter
        loss = deferred(net.blobs["loss"])
        label = net.blobs[self.outputs[0].label]  # (N, 1, H, W)
        images = label.shape[0]
        labels = None if self.normalized else deferred(label)

        def read() -> tuple[float, float]:
            """(loss, loss per pixel)"""
            total = per_pixel = float(loss())
            if not math.isfinite(total):
                raise Diverged(self._not_a_number(f"the loss is {total}", done))
            if labels is not None:
                counted = np.count_nonzero(labels() != catalog.IGNORE)
                per_pixel = total * images / max(1, counted)
            return total, per_pixel

        self._clock, before = time.time(), self._clock
        seconds = self._clock - before
        progress.step(done, read, images * self.param.iter_size, seconds, rate)
        if self.args.gpu is None:
            progress.read()  # a run that diverges ends at that step

    def _not_a_number(self, what: str, step: int) -> str:
        found = self.snapshots.newest()
        good = "there is no snapshot yet"
        if found:
            good = "the last good snapshot is of step {}".format(found[1]["iter"])
        return (
            f"{what} at step {step} of {self.steps}, at base_lr "
            f"{self.param.base_lr:g}; {good}. Lower base_lr in fcn/catalog and run "
            "nets/make.py, or check the initial weights."
        )

    def _check_weights(self) -> None:
        for name, blobs in self.net.params.items():
            for i, blob in enumerate(blobs):
                if not all_finite(blob):
                    raise Diverged(
                        self._not_a_number(f"{name} blob {i} is not finite", self.solver.iter)
                    )

    def _score(self, progress: Progress) -> None:
        def keep() -> None:
            self._check_weights()
            self._save_weights(self.best_so_far)

        self.scorings.score(self.solver, self.val, self.run, progress.losses, self.rate, keep)

    def _snapshot(self, progress: Progress) -> None:
        self._check_weights()
        self.snapshots.save(
            self.solver,
            {
                "experiment": self.experiment.name,
                "engine": results.engine(),
                "run": self.run,
                "steps": self.steps,
                "base_lr": self.base_lr,
                "seed": self.seed,
                "data": self.data,
                **self.computes,
                "positions": initial.positions(self.net),
                "losses": list(progress.losses),
            },
        )
        self.records.settled()


def _from_root(path: str) -> str:
    """Relative to the repository if it lies below, so that solverstates survive its being moved."""
    relative = os.path.relpath(path, bootstrap.ROOT)
    return path if relative.startswith(os.pardir) else relative
