"""The scorings of val in the course of a run, and the tables, curves and pictures they leave."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

import numpy as np

import data
from fcn.scoring import results
from fcn.scoring.evaluate import evaluate, share_weights
from fcn.training import records
from fcn.training.curves import draw_curves
from fcn.training.pictures import Pictures

if TYPE_CHECKING:
    import caffe
    from fcn.catalog.dataset import Output
    from fcn.catalog.experiment import Experiment
    from fcn.scoring.evaluate import Score
    from fcn.training.board import Board
    from fcn.training.records import Records

__all__ = ["Scorings"]


class Scorings:
    """Scores val with the weights of the moment, and keeps the best of them.

    folder: of the run. log: the file of one line per scoring. best_iu: the best mean IU so far.
    seconds, recording: what all scorings took, and what of it is left to look at took.
    """

    def __init__(
        self, experiment: Experiment, records: Records, board: Board | None, folder: str, log: str
    ) -> None:
        self._experiment, self._outputs = experiment, experiment.dataset.outputs
        self._records, self._board, self._folder, self._log = records, board, folder, log
        self._palette = np.asarray(data.names_of(experiment.dataset).PALETTE)
        self.best_iu = -math.inf
        self.seconds = self.recording = self._last = 0.0

    def resume(self, run: str) -> None:
        """Go on from the best that the log has of this run."""
        self.best_iu = results.best(self._log, run, self._outputs[0].label)

    def begin(self) -> None:
        """Show in TensorBoard what a resumed run has already."""
        if self._board:
            label = self._outputs[0].label
            self._board.begin(
                records.read_rows(self._records.path(records.TRAIN)),
                self._records.results(label),
                self._records.names[label],
                self._records.path(records.SHEET),
            )

    def takes(self, images: int, seconds_per_image: float) -> float:
        """Seconds that a scoring takes, as the last one did or else as training does."""
        return self._last or images * seconds_per_image

    def step(self, step: int, loss: float, per_pixel: float, rate: float | None) -> None:
        """Record a training step."""
        began = time.time()
        self._records.step(step, loss, per_pixel, rate)
        if self._board:
            self._board.step(step, loss, per_pixel, rate)
        self.recording += time.time() - began

    def score(
        self,
        solver: Any,
        val: list[str],
        run: str,
        losses: Collection[tuple[float, ...]],
        rate: float | None,
        keep: Callable[[], None],
    ) -> None:
        """Score the images `val` on each output.

        run: the run's name. losses: of the steps before, and the same per pixel. rate: of the last
        step. keep: called where the weights are the best so far.
        """
        share_weights(solver)
        net, done = solver.test_nets[0], solver.iter
        for output in self._outputs:
            began = time.time()
            pictures = self._pictures(net, val) if output is self._outputs[0] else None
            each = pictures.each if pictures else None
            result = evaluate(net, None, val, "score" + output.suffix, output.label, each)
            of = f", {output.label}" if len(self._outputs) > 1 else ""
            print(f"val at step {done}{of}: {results.summary(result)}", flush=True)
            line = results.record(
                result,
                experiment=self._experiment.name,
                output=output.label,
                run=run,
                iter=done,
                split="val",
                images=len(val),
                rate=rate,
                train_loss=sum(p for _, p in losses) / len(losses) if losses else None,
                seconds=round(time.time() - began, 2),
            )
            results.append(self._log, line)
            self._last = time.time() - began
            self.seconds += self._last
            if output is self._outputs[0] and result.metrics.mean_iu > self.best_iu:
                keep()
                self.best_iu = result.metrics.mean_iu
            self._record(output, result, line, pictures)

    def _pictures(self, net: caffe.Net, val: list[str]) -> Pictures:
        """What collects pictures in a scoring pass."""
        names = self._records.names[self._outputs[0].label]
        background = 0 if names[0] == "background" else -1
        dataset = self._experiment.dataset
        return Pictures(net, dataset, self._palette, val, self._folder, background)

    def _record(
        self, output: Output, result: Score, line: dict[str, Any], pictures: Pictures | None
    ) -> None:
        """Tables, curves and pictures of one scoring."""
        began = time.time()
        kept = self._records
        names = kept.names[output.label]
        kept.write_confusion(line["iter"], output.label, result.hist)
        if pictures:
            pictures.save(line["iter"])
            found = kept.results(output.label)
            best = max(found, key=lambda r: (r["mean_iu"] or 0, -r["iter"]))
            pictures.forget([best["iter"], line["iter"]])
            steps = records.read_rows(kept.path(records.TRAIN))
            draw_curves(kept.path(records.CURVES), steps, found, names)
            if self._board:
                self._board.score(line, names, kept.path(records.SHEET))
        kept.write_results()
        self.recording += time.time() - began

    def shares(self, whole: float) -> str:
        """What of `whole` seconds went where, in words."""
        return (
            f"scoring {100 * self.seconds / whole:.1f} %, tables and "
            f"pictures {100 * self.recording / whole:.1f} %"
        )
