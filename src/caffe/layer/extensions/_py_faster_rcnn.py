"""Python layers of py-faster-rcnn that its prototxts name, for nets whose modules are not there.

``python_param { module: "rpn.proposal_layer" layer: "ProposalLayer" }`` runs without the
repository: its code is for Python 2, and its settings lie in a module of their own.  The settings
here are the published ones; ``param_str`` may give others.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from caffe.errors import LayerError
from caffe.layer.extensions import _boxes
from caffe.layer.extensions._boxes import Selection
from caffe.layer.python import PythonLayer

if TYPE_CHECKING:
    from caffe.blob import Blob

# The names of fast_rcnn/config.py, and its values by phase.
_SELECTION = {
    "RPN_MIN_SIZE": "min_size",
    "RPN_PRE_NMS_TOP_N": "before",
    "RPN_POST_NMS_TOP_N": "after",
    "RPN_NMS_THRESH": "overlap",
}
SELECTIONS = {0: Selection(16, 12000, 2000, 0.7), 1: Selection(16, 6000, 300, 0.7)}


class FasterRCNNLayer(PythonLayer):
    """A layer whose ``param_str`` holds ``'name': value`` pairs, one a line or all in braces."""

    defaults: ClassVar[dict[str, Any]] = {}

    def settings(self) -> dict[str, Any]:
        """``param_str`` over the defaults.

        Raises:
            LayerError: it is no such text, or has a name that the layer does not know.
        """
        found = read_settings(self.param_str)
        unknown = sorted(set(found) - set(self.defaults))
        if unknown:
            raise LayerError(
                f"param_str sets {', '.join(unknown)}; {type(self).__name__} knows "
                f"{', '.join(self.defaults)}"
            )
        return {**self.defaults, **found}

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        """Nothing: the forward pass finds out how many boxes there are."""

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        """Nothing: boxes have no gradient."""


class ProposalLayer(FasterRCNNLayer):
    """Scores 1 x 2A x H x W (background first), deltas 1 x 4A x H x W and the image's size 1 x 3
    (height, width, scale) to proposals R x 5: 0, ``x1 y1 x2 y2``, best first.  A second top gets
    their scores, R x 1.

    As :class:`caffe.layer.extensions.proposal.Proposal`, but boxes that are too small are taken
    out.  ``param_str``: feat_stride; scales; and the names of py-faster-rcnn's configuration for
    what it sets by phase (TRAIN; TEST): RPN_PRE_NMS_TOP_N (12000; 6000), RPN_POST_NMS_TOP_N (2000;
    300), RPN_NMS_THRESH (0.7), RPN_MIN_SIZE (16).
    """

    defaults: ClassVar[dict[str, Any]] = {
        "feat_stride": 16,
        "scales": (8, 16, 32),
        "ratios": (0.5, 1, 2),
        **dict.fromkeys(_SELECTION),
    }

    def setup(self, bottom: list[Blob], top: list[Blob]) -> None:
        p = self.settings()
        self.stride = p["feat_stride"]
        given = {field: p[name] for name, field in _SELECTION.items() if p[name] is not None}
        self.selection = SELECTIONS[self.phase]._replace(**given)
        self.anchors = anchors(p["ratios"], p["scales"])
        expected = [(2 * len(self.anchors), "scores"), (4 * len(self.anchors), "deltas")]
        for blob, (channels, what) in zip(bottom, expected):
            if len(blob.dims) != 4 or blob.dims[1] != channels:
                raise LayerError(
                    f"the {what} must be 1 x {channels} x H x W for {len(self.anchors)} anchors, "
                    f"got {blob.dims}"
                )
        top[0].reshape(1, 5)
        for scores in top[1:]:
            scores.reshape(1, 1, 1, 1)

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        one_image(bottom[0])  # the forward pass finds out how many boxes there are

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        count = len(self.anchors)
        scores = bottom[0].data[0, count:].transpose(1, 2, 0).reshape(-1)
        deltas = bottom[1].data[0].transpose(1, 2, 0).reshape(-1, 4)
        height, width, scale = bottom[2].data.reshape(-1)[:3]
        placed = _boxes.place(self.anchors, bottom[0].dims[2:], self.stride)
        boxes = _boxes.clip(_boxes.decode(placed, deltas), height, width)
        least = self.selection.min_size * scale
        large = _boxes.large_enough(boxes, least, least)
        boxes, scores = boxes[large], scores[large]
        order = _boxes.best_first(scores, self.selection.before)
        boxes, scores = boxes[order], scores[order]
        kept = _boxes.suppress(boxes, self.selection.overlap, self.selection.after)
        top[0].reshape(len(kept), 5)
        top[0].data[...] = np.insert(boxes[kept], 0, 0, axis=1)
        for blob in top[1:]:
            blob.reshape(len(kept), 1)
            blob.data[...] = scores[kept, None]


def one_image(blob: Blob) -> None:
    """Raise LayerError for a batch of several images."""
    if blob.dims[0] != 1:
        raise LayerError(f"takes one image at a time, got a batch of {blob.dims[0]}")


def anchors(ratios: Any, scales: Any) -> np.ndarray:
    """py-faster-rcnn's anchors: of 16 pixels, with halves rounded to even."""
    return _boxes.anchors(16, ratios, scales, np.round)


def read_settings(text: str) -> dict[str, Any]:
    """The names and values of a ``param_str``: the YAML that the published files hold.

    Raises:
        LayerError: it is something else.
    """
    plain = text.replace("!!python/tuple", "").replace("\\n", "\n").strip().strip("{}")
    lines = [line.strip().strip(",") for line in plain.splitlines() if line.strip()]
    try:
        return _pairs(", ".join(lines))
    except (SyntaxError, ValueError) as error:
        raise LayerError(
            f"param_str must hold 'name': value pairs, for example 'feat_stride': 16; got {text!r}"
        ) from error


def _pairs(text: str) -> dict[str, Any]:
    """The pairs of a dict display without its braces; words may stand without quotes."""
    tree = ast.parse("{" + text + "}", mode="eval").body
    if not isinstance(tree, ast.Dict):
        raise ValueError(text)
    names = [
        key.id if isinstance(key, ast.Name) else ast.literal_eval(key or "") for key in tree.keys
    ]
    return dict(zip(map(str, names), map(ast.literal_eval, tree.values)))
