"""ReLU, ELU, Sigmoid, TanH, Swish, BNLL: smooth or rectifying activations, element by element.

All may work in place.  Where the gradient follows from the output it is right there too, which
leaves out BNLL, and ReLU and ELU with a negative slope or alpha: then the sign of the output does
not tell the sign of the input.  There the gradient in place is wrong, as in Caffe.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from caffe.layer import Shape, Tensors, register
from caffe.layer._elementwise import Elementwise
from caffe.layer._keep import kept_copy

aten = torch.ops.aten


@register("ReLU")
class ReLU(Elementwise):
    """``max(x, 0) + negative_slope min(x, 0)``; the gradient at 0 is ``negative_slope``.

    At two places BVLC's numbers would cost a second pass over the blob: -inf gives 0 for slope 0,
    BVLC NaN (0 times -inf); and where x is NaN the top's diff goes through, in BVLC it does not.
    """

    any_precision = True

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        self.slope = self.param.relu_param.negative_slope

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        x = bottoms[0]
        if self.slope:
            return [F.leaky_relu(x, self.slope, inplace=self.in_place)]
        return [x.relu_() if self.in_place else x.relu()]

    def _gradient(self, y: torch.Tensor, g: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        if self.slope:
            return aten.leaky_relu_backward(g, x, self.slope, False)
        if self.in_place:
            return aten.threshold_backward.grad_input(g, x, 0.0, grad_input=g)
        return aten.threshold_backward(g, x, 0.0)


@register("Sigmoid")
class Sigmoid(Elementwise):
    """``1 / (1 + exp(-x))``; gradient ``y (1 - y)``."""

    any_precision = True

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        return [bottoms[0].sigmoid_() if self.in_place else bottoms[0].sigmoid()]

    def _gradient(self, y: torch.Tensor, g: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return aten.sigmoid_backward(g, y)


@register("TanH")
class TanH(Elementwise):
    """``tanh(x)``; gradient ``1 - y^2``."""

    any_precision = True

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        return [bottoms[0].tanh_() if self.in_place else bottoms[0].tanh()]

    def _gradient(self, y: torch.Tensor, g: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return aten.tanh_backward(g, y)


@register("ELU")
class ELU(Elementwise):
    """``x`` where it is positive, else ``alpha (exp(x) - 1)``; gradient ``alpha + y`` there."""

    any_precision = True

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        self.alpha = self.param.elu_param.alpha

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        return [F.elu(bottoms[0], self.alpha, inplace=self.in_place)]

    def _gradient(self, y: torch.Tensor, g: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return torch.where(x > 0, g, g * (y + self.alpha))


@register("Swish")
class Swish(Elementwise):
    """``x s`` with ``s = 1 / (1 + exp(-beta x))``; gradient ``beta y + s (1 - beta y)``.

    The layer keeps s from the last forward pass, so that it may work in place.
    """

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        self.beta = self.param.swish_param.beta
        self.gate: torch.Tensor | None = None

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        x = bottoms[0]
        self.gate = kept_copy(self.gate, x).mul_(self.beta).sigmoid_()
        return [x.mul_(self.gate) if self.in_place else x * self.gate]

    def _gradient(self, y: torch.Tensor, g: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        gate = self.gate
        if gate is None or gate.shape != g.shape:
            gate = torch.zeros_like(g)  # no forward yet: zero, as in Caffe
        by = y * self.beta
        return torch.addcmul(by, gate, 1 - by).mul_(g)


@register("BNLL")
class BNLL(Elementwise):
    """``log(1 + exp(x))``, the binomial normal log likelihood; gradient ``1 / (1 + exp(-x))``."""

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        return [F.softplus(bottoms[0])]

    def _gradient(self, y: torch.Tensor, g: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return x.sigmoid().mul_(g)
