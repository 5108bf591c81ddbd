"""MultiBoxLoss: SSD's loss of boxes and scores, over matched priors and mined negatives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from caffe.device import current
from caffe.errors import DataError, LayerError
from caffe.layer import Layer, MaybeTensors, Need, Shape, Tensors, register
from caffe.layer._loss import normalization
from caffe.layer.extensions import _ssd_boxes as ssd_boxes
from caffe.layer.extensions import _ssd_truth as ssd_truth

if TYPE_CHECKING:
    from caffe.blob import Blob

_TINY = float(np.finfo(np.float32).tiny)  # probabilities count as this at least


class _Part(NamedTuple):
    """One part of the loss: its sum, and the gradient of ``rows`` of a bottom of rows."""

    loss: float
    rows: np.ndarray
    gradient: np.ndarray


@register("MultiBoxLoss")
class MultiBoxLoss(Layer):
    """(``loc_weight`` loss of boxes + loss of scores) / normaliser, one number.

    Bottoms: offsets, N x (K L 4), with L 1 or, without ``share_location``, the number of classes;
    scores, N x (K C); priors, 1 x 2 x (4 K); objects, 1 x 1 x G x 8 (see ``_ssd_truth``).  The
    first two can receive a gradient.

    ``multibox_loss_param``: priors are matched with objects (``match_type``, ``overlap_threshold``;
    with ``use_prior_for_matching: false`` the predicted boxes are).  The loss of boxes
    (``loc_loss_type``) is over the matched ones, between the offsets and those that stand for the
    object (``code_type``).  The loss of scores (``conf_loss_type``) is over these and the
    background that ``mining_type`` finds (see ``_ssd_truth.negatives``), with NONE over all boxes.
    Items without an object count only with NONE.  ``use_difficult_gt``, ``bp_inside`` (no loss for
    sides outside the image), ``ignore_cross_boundary_bbox`` and ``map_object_to_agnostic`` as in
    SSD.  ``loss_param``: the normaliser, VALID (the number of matched boxes) by default.

    As in SSD, with ``encode_variance_in_target`` the gradient of the offsets lacks the factor
    1 / variance.  Other than in SSD: with NONE and LOGISTIC the targets of all items are right, not
    the first one's alone; ``nms_param`` without ``top_k`` looks at all boxes, not at none;
    ``do_neg_mining: false`` without a mining_type is NONE.
    """

    graphable = False
    bottoms = 4
    is_loss = True
    no_gradient = frozenset({2, 3})
    leaves_out_no_gradient = True

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p = type(self.param.multibox_loss_param)()
        p.CopyFrom(self.param.multibox_loss_param)
        self.settings: Any = p
        if not p.num_classes:
            raise self.fail("must provide num_classes", LayerError)
        if p.HasField("do_neg_mining"):
            if not p.HasField("mining_type"):
                p.mining_type = p.MAX_NEGATIVE if p.do_neg_mining else p.NONE
            elif p.do_neg_mining != (p.mining_type != p.NONE):
                raise self.fail("do_neg_mining and mining_type contradict each other", LayerError)
        self.mines = p.mining_type != p.NONE
        if self.mines and not p.share_location:
            raise self.fail(
                "mining needs share_location: set mining_type: NONE, or share the locations",
                LayerError,
            )
        if p.mining_type == p.HARD_EXAMPLE and p.sample_size < 1:
            raise self.fail(f"sample_size must be positive, got {p.sample_size}", LayerError)
        if p.background_label_id >= p.num_classes and p.conf_loss_type == p.SOFTMAX:
            raise self.fail(
                f"background_label_id must be below num_classes, got {p.background_label_id} and "
                f"{p.num_classes}",
                LayerError,
            )
        if p.map_object_to_agnostic and p.num_classes != 2:
            raise self.fail("map_object_to_agnostic needs num_classes: 2", LayerError)
        self.classes = p.num_classes
        self.places = 1 if p.share_location else p.num_classes
        self.code = ssd_boxes.Code(p.code_type, p.encode_variance_in_target)
        self.mode = normalization(self.param.loss_param, self.param.loss_param.VALID)
        wanted = list(self.param.propagate_down) or [True, True]
        self.counted = wanted[:2]  # a part that does not propagate is no part of the loss
        self.boxes: _Part | None = None
        self.scores: _Part | None = None
        self.divisor = 1.0

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        offsets, scores, priors, objects = bottom_shapes
        if len(priors) < 3 or priors[1] != 2 or priors[2] % 4:
            raise self.fail(f"the priors must be 1 x 2 x (4 K), got {priors}")
        if not objects or objects[-1] != 8:
            raise self.fail(f"the objects must be 1 x 1 x G x 8, got {objects}")
        if offsets[:1] != scores[:1]:
            raise self.fail(f"offsets {offsets} and scores {scores} are of different batch sizes")
        self.batch, self.count = offsets[0], priors[2] // 4
        for what, shape, each in (
            ("location", offsets, self.places * 4),
            ("confidence", scores, self.classes),
        ):
            size = int(np.prod(shape[1:]))
            if size != self.count * each:
                raise self.fail(
                    f"Number of priors must match number of {what} predictions: {self.count} "
                    f"priors need {self.count * each} numbers an item, got {shape}"
                )
        return [()]

    def forward_blobs(self, bottom: list[Blob], top: list[Blob]) -> None:
        p = self.settings
        offsets, scores, prior_values, objects = (b.data_numbers() for b in bottom)
        offsets = offsets.reshape(self.batch, self.count, self.places, 4)
        scores = scores.reshape(self.batch, self.count, self.classes)
        priors = ssd_boxes.priors_of(prior_values)
        if not p.use_prior_for_matching:
            wrong = ssd_boxes.check_code(priors, self.code)
            if wrong:
                raise self.fail(wrong, DataError)
        truth = ssd_truth.truth_of(
            objects,
            self.batch,
            0 if p.map_object_to_agnostic else self.classes,
            p.background_label_id,
            lambda message: self.fail(message, DataError),
        )
        if not p.use_difficult_gt:
            truth = {i: t.part(~t.difficult) for i, t in truth.items()}
            truth = {i: t for i, t in truth.items() if len(t.labels)}
        matches = {i: self._matches(t, offsets[i], priors) for i, t in truth.items()}
        background: dict[int, np.ndarray] = {}
        if self.mines:
            losses = self._losses(matches, truth, offsets, scores, priors)
            for i, ((found, best),) in matches.items():
                boxes = self._thinned(offsets[i], priors)
                found, background[i] = ssd_truth.negatives(losses[i], found, best, boxes, p)
                matches[i] = [(found, best)]
        positives = _positives(matches)
        self.boxes = self._of_boxes(positives, truth, offsets, priors)
        self.scores = self._of_scores(positives, truth, background, scores)
        self.divisor = self._divisor(len(positives))
        loss = p.loc_weight * self.boxes.loss * self.counted[0]
        loss += self.scores.loss * self.counted[1]
        top[0].set_host_data(np.array(loss / self.divisor, np.float32))

    def _divisor(self, matched: int) -> float:
        modes = self.param.loss_param
        sizes = {
            modes.FULL: self.batch * self.count,
            modes.VALID: matched,
            modes.BATCH_SIZE: self.batch,
        }
        return float(max(sizes.get(self.mode, 1), 1))

    def _matches(
        self, truth: ssd_truth.Truth, offsets: np.ndarray, priors: ssd_boxes.Priors
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """``ssd_truth.match`` of one item, once for each place of its offsets."""
        p = self.settings

        def match(boxes: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            found, best = ssd_truth.match(
                boxes,
                truth.boxes[chosen],
                p.match_type,
                p.overlap_threshold,
                p.ignore_cross_boundary_bbox,
            )
            of_all = np.append(np.flatnonzero(chosen), [ssd_truth.IGNORED, ssd_truth.UNMATCHED])
            return of_all[found], best

        everything = np.ones(len(truth.labels), bool)
        if p.use_prior_for_matching:
            found, best = match(priors.boxes, everything)
            if self.places == 1:
                return [(found, best)]
            label = np.append(truth.labels, [-1, -1])[found]
            return [
                (np.where(label == c, found, ssd_truth.UNMATCHED), best)
                for c in range(self.classes)
            ]
        return [
            match(
                ssd_boxes.decode(priors, offsets[:, place], self.code),
                everything if self.places == 1 else truth.labels == place,
            )
            for place in range(self.places)
        ]

    def _losses(
        self,
        matches: dict[int, list[tuple[np.ndarray, np.ndarray]]],
        truth: dict[int, ssd_truth.Truth],
        offsets: np.ndarray,
        scores: np.ndarray,
        priors: ssd_boxes.Priors,
    ) -> dict[int, np.ndarray]:
        """The loss of each box of the items with objects, which mining goes by."""
        p = self.settings
        losses = {}
        for i, ((found, _),) in matches.items():
            label = np.full(self.count, p.background_label_id)
            chosen = found >= 0
            label[chosen] = self._labels(truth[i])[found[chosen]]
            losses[i] = self._score_losses(torch.from_numpy(scores[i].copy()), label)[0].numpy()
            if p.mining_type == p.HARD_EXAMPLE:
                at = np.flatnonzero(chosen)
                given, wanted = self._pairs(
                    offsets[i, at, 0], truth[i].boxes[found[at]], at, priors
                )
                losses[i][at] += self._box_losses(given - wanted)[0].sum(1)
        return losses

    def _labels(self, truth: ssd_truth.Truth) -> np.ndarray:
        if self.settings.map_object_to_agnostic:
            return np.full_like(truth.labels, self.settings.background_label_id + 1)
        return truth.labels

    def _thinned(self, offsets: np.ndarray, priors: ssd_boxes.Priors) -> np.ndarray | None:
        """The boxes that nms_param is to thin out before mining, None where it is not given."""
        p = self.settings
        if not p.HasField("nms_param") or not p.nms_param.nms_threshold > 0:
            return None
        if p.use_prior_for_nms:
            return priors.boxes
        return ssd_boxes.decode(priors, offsets[:, 0], self.code)

    def _pairs(
        self, given: np.ndarray, boxes: np.ndarray, at: np.ndarray, priors: ssd_boxes.Priors
    ) -> tuple[np.ndarray, np.ndarray]:
        """Offsets of the priors ``at``, and those that stand for the objects' boxes."""
        p = self.settings
        some = ssd_boxes.Priors(priors.boxes[at], priors.variances[at])
        wanted = ssd_boxes.encode(some, boxes, self.code)
        if p.bp_inside:
            matched = some.boxes
            if not p.use_prior_for_matching:
                matched = ssd_boxes.decode(some, given, self.code)
            given = np.where((matched < 0) | (matched > 1), wanted, given)
        if p.encode_variance_in_target:
            return given / some.variances, wanted / some.variances
        return given, wanted

    def _box_losses(self, difference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Loss and gradient, number by number."""
        square = np.float32(0.5) * difference * difference
        if self.settings.loc_loss_type == self.settings.L2:
            return square, difference
        size = np.abs(difference)
        return np.where(size < 1, square, size - np.float32(0.5)), difference.clip(-1, 1)

    def _score_losses(
        self, scores: torch.Tensor, labels: np.ndarray, target: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Loss and gradient of rows of scores; ``target`` (LOGISTIC) instead of one label a row."""
        index = torch.from_numpy(labels)
        if self.settings.conf_loss_type == self.settings.SOFTMAX:
            probabilities = scores.softmax(1)
            chosen = probabilities.gather(1, index[:, None])
            loss = -chosen[:, 0].clamp(min=_TINY).log()
            return loss, probabilities.scatter_(1, index[:, None], chosen - 1)
        if target is None:  # a background that is no class has a column for itself
            target = F.one_hot(index, max(self.classes, int(index.max()) + 1) if len(index) else 1)
            target = target[:, : self.classes].to(scores.dtype)
        loss = F.binary_cross_entropy_with_logits(scores, target, reduction="none").sum(1)
        return loss, scores.sigmoid() - target

    def _of_boxes(
        self,
        positives: np.ndarray,
        truth: dict[int, ssd_truth.Truth],
        offsets: np.ndarray,
        priors: ssd_boxes.Priors,
    ) -> _Part:
        item, at, place, which = positives.T
        boxes = [truth[i].boxes[which[item == i]] for i in sorted(truth)]
        wanted = np.concatenate([np.empty((0, 4), np.float32), *boxes])
        given, wanted = self._pairs(offsets[item, at, place], wanted, at, priors)
        loss, gradient = self._box_losses(given - wanted)
        rows = (item * self.count + at) * self.places + place
        return _Part(float(loss.sum(dtype=np.float64)), rows, gradient)

    def _of_scores(
        self,
        positives: np.ndarray,
        truth: dict[int, ssd_truth.Truth],
        background: dict[int, np.ndarray],
        scores: np.ndarray,
    ) -> _Part:
        p = self.settings
        item, at, _, which = positives.T
        labels = [self._labels(truth[i])[which[item == i]] for i in sorted(truth)]
        of_objects = np.concatenate([np.empty(0, np.int64), *labels])
        rows, target = item * self.count + at, None
        if self.mines:
            empty = [i * self.count + background[i] for i in sorted(background)]
            rows = np.concatenate([rows, *empty])
            label = np.full(len(rows), p.background_label_id)
            label[: len(of_objects)] = of_objects
        else:
            label = np.full(self.batch * self.count, p.background_label_id)
            label[rows] = of_objects
            if p.conf_loss_type == p.LOGISTIC:  # SSD has no target for the background then
                target = torch.zeros(len(label), self.classes)
                target[torch.from_numpy(rows), torch.from_numpy(of_objects)] = 1
            rows = np.arange(len(label))
        flat = torch.from_numpy(scores.reshape(-1, self.classes)[rows])
        loss, gradient = self._score_losses(flat, label, target)
        return _Part(float(loss.sum(dtype=torch.float64)), rows, gradient.numpy())

    def backward(
        self, tops: Tensors, top_diffs: Tensors, bottoms: Tensors, params: Tensors, need: Need
    ) -> tuple[MaybeTensors, MaybeTensors]:
        diffs: MaybeTensors = [None] * 4
        for i, (part, width, weight) in enumerate(
            ((self.boxes, 4, self.settings.loc_weight), (self.scores, self.classes, 1.0))
        ):
            if not need.bottoms[i]:
                continue
            diff = np.zeros((bottoms[i].numel() // width, width), np.float32)
            if part is not None:  # otherwise no forward yet: zero, as in Caffe
                diff[part.rows] = part.gradient * np.float32(weight / self.divisor)
            diffs[i] = current().upload(diff).view(bottoms[i].shape) * top_diffs[0]
        return diffs, []


def _positives(matches: dict[int, list[tuple[np.ndarray, np.ndarray]]]) -> np.ndarray:
    """Of each matched box: item, number, place of its offsets, and the object: M x 4, by item."""
    rows = [np.empty((0, 4), np.int64)]
    for i in sorted(matches):
        for place, (found, _) in enumerate(matches[i]):
            at = np.flatnonzero(found >= 0)
            rows.append(np.stack([np.full_like(at, i), at, np.full_like(at, place), found[at]], 1))
    return np.concatenate(rows)
