"""Backbones: each adds its layers to a net and returns what a head can read.

    add(n, data, phase, classifier) → Features

n: a Trunk. phase: "train", "val" or "deploy", which has no dropout. classifier: whether the layers
of the ILSVRC classifier that became convolutions (fc6, fc7) belong to it; without them the features
end at the last pooling. `fcn/catalog/backbones.py` lists them.
"""

from __future__ import annotations

from collections import namedtuple
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from caffe.net_spec import Function, NetSpec, Top

#: A blob at a finer stride than the top's. name: in the names of the layers that read it.
Skip = namedtuple("Skip", "name blob channels")

#: What a backbone offers a head. top: the coarsest blob; stride, channels: of it; skips: stride →
#: Skip, coarse to fine; padded: whether a border around the image makes every finer blob larger
#: than what is upsampled to it (VGG and AlexNet padded by 100, as published), or the other way
#: round.
Features = namedtuple("Features", "top stride channels skips padded")

#: Weight and bias of a layer that learns: the bias twice as fast and without decay (facts of VGG-16
#: FCNs; the AlexNet trunk has none of it).
LEARNED = [dict(lr_mult=1, decay_mult=1), dict(lr_mult=2, decay_mult=0)]

#: BatchNorm's mean, variance and scale factor are measured, not learned.
MEASURED = [dict(lr_mult=0, decay_mult=0)] * 3

#: Padding around the image beyond the first convolution's own, in pixels, where it is not the
#: published 100: one step of a coarsest grid of stride 32. The offsets of all crops move by whole
#: pixels, every pixel of the image lies between two scores, and any image is large enough.
BORDER = 32


class Trunk:
    """A NetSpec as one backbone writes to it.

    suffix: of all its names, where several trunks stand side by side. names: others for some
    layers. fixed: True: its weights do not learn; a stride: nor do those of that stride and finer
    ones, where the builder says by `reach` which stride its next layers have.
    """

    def __init__(
        self,
        n: NetSpec,
        suffix: str = "",
        names: dict[str, str] | None = None,
        fixed: bool | int = False,
    ) -> None:
        self._n, self._suffix, self._names, self._fixed = n, suffix, names or {}, fixed
        self._stride = 1

    def reach(self, stride: int) -> None:
        """The layers that follow have that stride."""
        self._stride = stride

    def _name(self, name: str) -> str:
        return self._names.get(name, name) + self._suffix

    def __getitem__(self, name: str) -> Any:
        return self._n[self._name(name)]

    def __setitem__(self, name: str, top: Top) -> None:
        if self._fixed is True or (self._fixed and self._stride <= self._fixed):
            self._fix(top.fn)
        self._n[self._name(name)] = top

    @staticmethod
    def _fix(layer: Function) -> None:
        blobs = {
            "Convolution": 1 + layer.params.get("bias_term", True),
            "Scale": 1 + layer.params.get("bias_term", False),
        }.get(layer.type_name)
        if blobs:
            layer.params["param"] = [dict(lr_mult=0, decay_mult=0)] * blobs
