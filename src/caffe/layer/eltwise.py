"""Eltwise: sum, product or maximum of blobs of one shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from caffe.errors import LayerError
from caffe.layer import Layer, MaybeTensors, Need, Shape, Tensors, register


@register("Eltwise")
class Eltwise(Layer):
    """``operation``: SUM (default; ``coeff`` 1 or one a bottom), PROD, MAX.

    MAX: of equal values bottom 1 wins over bottom 0, later bottoms win only where greater; the
    gradient goes to the winner of the last forward pass.  PROD: the gradient is the product of the
    others, or with ``stable_prod_grad: false`` ``top / bottom`` (NaN at 0).

    In place (top 0 is bottom 0) follows Caffe, which clears the top first: SUM and MAX lose the
    first operand, and each bottom's gradient is made from what the one before left in the blob.
    """

    any_precision = True
    bottoms = (2, None)

    def __init__(self, param: Any, phase: int) -> None:
        super().__init__(param, phase)
        p = param.eltwise_param
        if p.operation == p.SUM and len(p.coeff) == 1:
            self.bottoms = (1, None)  # a factor, as in FlowNet's nets; BVLC wants two bottoms

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p = self.param.eltwise_param
        self.operation = p.operation
        self.PROD, self.SUM = p.PROD, p.SUM
        self.coeff = list(p.coeff) or [1.0] * len(bottom_shapes)
        if len(self.coeff) != len(bottom_shapes):
            raise self.fail(
                f"takes one coefficient per bottom blob: {len(self.coeff)} coefficients, "
                f"{len(bottom_shapes)} bottoms",
                LayerError,
            )
        if len(bottom_shapes) == 1 and self.in_place:
            raise self.fail(
                "with one bottom it cannot work in place: give the top a name", LayerError
            )
        if p.coeff and self.operation == p.PROD:
            raise self.fail("takes coefficients only for SUM", LayerError)
        self.winner: torch.Tensor | None = None  # of MAX: the bottom's number, int16

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        for i, shape in enumerate(bottom_shapes):
            if tuple(shape) != tuple(bottom_shapes[0]):
                raise self.fail(
                    f"bottoms must have one shape: bottom 0 is {bottom_shapes[0]}, bottom {i} "
                    f"is {shape}"
                )
        return [bottom_shapes[0]]

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        if self.operation == self.SUM:
            return [self._sum(bottoms)]
        if self.operation == self.PROD:
            y = torch.mul(bottoms[0], bottoms[1])
            for x in bottoms[2:]:
                y *= x
            return [y]
        return [self._max(bottoms)]

    def backward(
        self, tops: Tensors, top_diffs: Tensors, bottoms: Tensors, params: Tensors, need: Need
    ) -> tuple[MaybeTensors, MaybeTensors]:
        g = top_diffs[0]
        diffs: MaybeTensors = [None] * len(bottoms)
        for i, needed in enumerate(need.bottoms):
            if not needed:
                continue
            if self.operation == self.SUM:
                d = g if self.coeff[i] == 1 else g * self.coeff[i]
            elif self.operation == self.PROD:
                factor = self._factor(i, tops[0], bottoms)
                # In place, the factor has taken the place of g when Caffe multiplies the two.
                d = factor * (factor if self.in_place and i == 0 else g)
            elif self.winner is None or self.winner.shape != g.shape:
                d = g if i == 0 else torch.zeros_like(g)  # no forward yet: all zero, as in Caffe
            else:
                d = torch.where(self.winner == i, g, 0.0)
            diffs[i] = d
            if self.in_place and i == 0:
                g = d
        return diffs, []

    def _sum(self, bottoms: Tensors) -> torch.Tensor:
        terms = list(zip(bottoms, self.coeff))
        if self.in_place:
            terms = terms[1:]
        (x, a), rest = terms[0], terms[1:]
        if a == 1 and rest:
            (z, b), rest = rest[0], rest[1:]
            y = torch.add(x, z, alpha=b)
        else:
            y = x * a
        for x, a in rest:
            y.add_(x, alpha=a)
        return y

    def _max(self, bottoms: Tensors) -> torch.Tensor:
        first = bottoms[0]
        if self.in_place:
            first = torch.full_like(first, torch.finfo(first.dtype).min)
        ahead = first > bottoms[1]
        y = torch.where(ahead, first, bottoms[1])
        winner = (~ahead).to(torch.int16)
        for i, x in enumerate(bottoms[2:], 2):
            ahead = x > y
            y = torch.where(ahead, x, y)
            winner.masked_fill_(ahead, i)
        self.winner = winner
        return y

    def _factor(self, index: int, y: torch.Tensor, bottoms: Tensors) -> torch.Tensor:
        """What the gradient of a product is multiplied with for one bottom."""
        if not self.param.eltwise_param.stable_prod_grad:
            return y / bottoms[index]
        others = [x for i, x in enumerate(bottoms) if i != index]
        factor = others[0]
        for x in others[1:]:
            factor = factor * x
        return factor
