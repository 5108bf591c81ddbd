"""Dropout: random zeros in training, nothing in testing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from caffe import rng
from caffe.layer import Layer, MaybeTensors, Need, Shape, Tensors, register
from caffe.layer._draws import DeviceDraws

if TYPE_CHECKING:
    from caffe.blob import Blob


@register("Dropout")
class Dropout(Layer):
    """In TRAIN ``x m / (1 - dropout_ratio)`` with m = 1 with probability ``1 - dropout_ratio``,
    else 0, drawn anew in every forward pass; in TEST the identity.

    Two extensions of forks: with ``sample_weights_test`` (Bayesian SegNet) TEST does what TRAIN
    does; with ``scale_train: false`` (Faster R-CNN) TRAIN gives ``x m`` and TEST
    ``x (1 - dropout_ratio)``.

    On the CPU the masks come from Caffe's random stream, one number an element in N, C, H, W
    order: a seed gives the masks that BVLC gives.  On a GPU one number of that stream seeds
    PyTorch's generator, so that the stream's state alone still determines what follows.
    """

    any_precision = True

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        self.ratio = self.dropout_ratio()
        if not 0 <= self.ratio <= 1:
            raise self.fail(f"dropout_ratio must be between 0 and 1, got {self.ratio:g}")
        p = self.param.dropout_param
        self._drops = self.phase == 0 or p.sample_weights_test
        # ratio 1 keeps nothing and scales by infinity: NaN, as in Caffe.
        kept = 1 - self.ratio
        self._scale_of_mask = (1 / kept if kept else float("inf")) if p.scale_train else 1.0
        self._scale = 1.0 if p.scale_train else kept  # where nothing is dropped
        self.mask: torch.Tensor | None = None  # 0 or the scale
        self.draws = DeviceDraws()

    def dropout_ratio(self) -> float:
        """The probability of a zero."""
        return self.param.dropout_param.dropout_ratio

    def mask_shape(self, shape: Sequence[int]) -> Sequence[int]:
        """The shape of the mask for a bottom."""
        return shape

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        return [bottom_shapes[0]]

    def before_forward(self, bottom: list[Blob]) -> None:
        if self._drops:
            self.draws.seed()

    def generators(self) -> list[torch.Generator]:
        return self.draws.current()

    def renew_generators(self) -> None:
        self.draws.renew()

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        x = bottoms[0]
        if not self._drops:
            return [self._scaled(x)]
        self.mask = self._draw(x).mul_(self._scale_of_mask)
        return [x.mul_(self.mask) if self.in_place else x * self.mask]

    def backward(
        self, tops: Tensors, top_diffs: Tensors, bottoms: Tensors, params: Tensors, need: Need
    ) -> tuple[MaybeTensors, MaybeTensors]:
        if not need.bottoms[0]:
            return [None], []
        g = top_diffs[0]
        if not self._drops:
            return [self._scaled(g)], []
        if self.mask is None or tuple(self.mask.shape) != tuple(self.mask_shape(g.shape)):
            return [torch.zeros_like(g)], []  # no forward yet: the mask is all zero, as in Caffe
        return [g.mul_(self.mask) if self.in_place else g * self.mask], []

    def _scaled(self, x: torch.Tensor) -> torch.Tensor:
        """``x`` by the scale of a pass that drops nothing."""
        if self._scale == 1:
            return x
        return x.mul_(self._scale) if self.in_place else x * self._scale

    def _draw(self, x: torch.Tensor) -> torch.Tensor:
        keep = 1 - self.ratio
        shape = self.mask_shape(x.shape)
        if x.device.type == "cpu":
            bits = torch.from_numpy(rng.get().bernoulli(keep, math.prod(shape)))
            return bits.to(x.dtype).view(*shape)
        return _drawn(x, shape, keep, self.draws.on(x.device))


def _drawn(
    x: torch.Tensor, shape: Sequence[int], keep: float, generator: torch.Generator
) -> torch.Tensor:
    """Zeros and ones of a shape, 1 with the probability ``keep``, of the type of ``x``.

    They are drawn, and lie, in one order whatever the layout of ``x``, which a convolution's
    fastest way may change: that of N, H, W, C, in which tf32 and bf16 compute.
    """
    if len(shape) != 4:
        return x.new_empty(shape).bernoulli_(keep, generator=generator)
    n, c, h, w = shape
    return x.new_empty(n, h, w, c).bernoulli_(keep, generator=generator).permute(0, 3, 1, 2)
