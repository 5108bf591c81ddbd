"""The six update rules: from a gradient and its history to what is subtracted from the weights.

Every rule works in place on lists of tensors, one for each parameter: ``g`` comes in as the
regularised gradients and goes out as the updates; the histories are advanced.  PyTorch's operators
on lists are one launch on a GPU, and on the CPU the plain operators one after the other.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch

from caffe.errors import SolverError
from caffe.solver import fused_sgd

__all__ = [
    "NATIVE", "AdaDelta", "AdaGrad", "Adam", "Nesterov", "RMSProp", "Settings", "Sgd", "UpdateRule",
]  # fmt: skip

Tensors = list[torch.Tensor]


class Settings(NamedTuple):
    """The numbers of one update; ``rate`` includes the parameter's lr_mult."""

    rate: float
    momentum: float
    momentum2: float
    rms_decay: float
    delta: float
    t: int  # number of this update, from 1


class UpdateRule:
    """One rule.  ``histories`` is how many history tensors every parameter has."""

    histories = 1
    # Whether a rate of zero keeps a zero history zero and makes a zero update.
    still_at_zero_rate = False

    def rate(self, s: Settings) -> float:
        """What an update is multiplied with: the rate, and what the rule makes of it."""
        return s.rate

    def kept(self, s: Settings) -> tuple[float, float]:
        """The shares of the first and of the second history that stay, where there are these."""
        return s.momentum, s.momentum2

    def check(self, param: Any) -> None:
        """Raise SolverError for settings (a SolverParameter) that the rule cannot work with."""

    def fused(
        self,
        w: Tensors,
        g: Tensors,
        h: list[Tensors],
        s: Settings,
        decay: float,
        factor: float | torch.Tensor,
    ) -> bool:
        """Do everything at once, scaling by ``factor``, L2 decay and subtraction included.  What
        was subtracted is then the first history, and ``g`` is of no use.

        False where that is not possible; nothing is changed then.
        """
        return False

    def update(self, g: Tensors, h: list[Tensors], s: Settings) -> None:
        raise TypeError(f"{type(self).__name__} has no update: derive from it and write one")


def _dense_alike(w: torch.Tensor, g: torch.Tensor, h: torch.Tensor) -> bool:
    """Whether all three fill their memory in one and the same order."""
    if not w.is_contiguous():
        if w.device.type == "cpu" or not w.is_contiguous(memory_format=torch.channels_last):
            return False
    return w.stride() == g.stride() == h.stride()


class Sgd(UpdateRule):
    """h = m h + r g; the update is h.  The rate is inside the history, as in BVLC."""

    still_at_zero_rate = True

    def fused(
        self,
        w: Tensors,
        g: Tensors,
        h: list[Tensors],
        s: Settings,
        decay: float,
        factor: float | torch.Tensor,
    ) -> bool:
        dense = all(map(_dense_alike, w, g, h[0]))
        # The scale that carries the rate is its inverse, which must be a float32 number.  A factor
        # on a GPU is not read: it clips, by less than such a rate has room for.
        known = factor if isinstance(factor, (int, float)) else 1.0
        carried = 1e-30 < s.rate * known < 1e30
        # Without momentum PyTorch keeps no history.
        if not (dense and carried and s.momentum and fused_sgd.available(w[0].device.type)):
            return False
        fused_sgd.update(w, g, h[0], s.rate, s.momentum, decay, factor)
        return True

    def update(self, g: Tensors, h: list[Tensors], s: Settings) -> None:
        torch._foreach_mul_(h[0], s.momentum)
        torch._foreach_add_(h[0], g, alpha=s.rate)
        torch._foreach_copy_(g, h[0])


class Nesterov(UpdateRule):
    """h' = m h + r g; the update is (1 + m) h' - m h."""

    still_at_zero_rate = True

    def update(self, g: Tensors, h: list[Tensors], s: Settings) -> None:
        before = torch._foreach_mul(h[0], 1.0)
        torch._foreach_mul_(h[0], s.momentum)
        torch._foreach_add_(h[0], g, alpha=s.rate)
        torch._foreach_copy_(g, h[0])
        torch._foreach_mul_(g, 1 + s.momentum)
        torch._foreach_sub_(g, before, alpha=s.momentum)


def _refuse_momentum(param: Any) -> None:
    if param.momentum != 0:
        raise SolverError(
            f"Momentum cannot be used with {param.type}: expected momentum: 0, received "
            f"momentum: {param.momentum:g}"
        )


class AdaGrad(UpdateRule):
    """h += g^2; the update is r g / (sqrt(h) + delta)  (Duchi et al. 2011)."""

    def check(self, param: Any) -> None:
        _refuse_momentum(param)

    def update(self, g: Tensors, h: list[Tensors], s: Settings) -> None:
        torch._foreach_addcmul_(h[0], g, g)
        _divide_by_root(g, h[0], s.delta, s.rate)


class RMSProp(UpdateRule):
    """h = rho h + (1 - rho) g^2; the update is r g / (sqrt(h) + delta)  (Tieleman, Hinton 2012)."""

    def check(self, param: Any) -> None:
        _refuse_momentum(param)
        if not 0 <= param.rms_decay < 1:
            raise SolverError(
                f"rms_decay must lie in [0, 1), received rms_decay: {param.rms_decay:g}"
            )

    def update(self, g: Tensors, h: list[Tensors], s: Settings) -> None:
        _average(h[0], s.rms_decay, g)
        _divide_by_root(g, h[0], s.delta, s.rate)

    def kept(self, s: Settings) -> tuple[float, float]:
        return s.rms_decay, s.momentum2


class AdaDelta(UpdateRule):
    """v = g sqrt((h2 + delta) / (h + delta)); the update is r v  (Zeiler 2012).

    h and h2 are running means of g^2 and v^2 with momentum m.
    """

    histories = 2

    def update(self, g: Tensors, h: list[Tensors], s: Settings) -> None:
        _average(h[0], s.momentum, g)
        ratio = torch._foreach_add(h[1], s.delta)
        torch._foreach_div_(ratio, torch._foreach_add(h[0], s.delta))
        torch._foreach_sqrt_(ratio)
        torch._foreach_mul_(g, ratio)
        _average(h[1], s.momentum, g)
        torch._foreach_mul_(g, s.rate)


class Adam(UpdateRule):
    """The update is r c h / (sqrt(h2) + delta)  (Kingma and Ba 2015).

    h and h2 are running means of g and g^2 with momentum and momentum2, and
    c = sqrt(1 - momentum2^t) / (1 - momentum^t) corrects their start at zero.
    """

    histories = 2

    def update(self, g: Tensors, h: list[Tensors], s: Settings) -> None:
        torch._foreach_mul_(h[0], s.momentum)
        torch._foreach_add_(h[0], g, alpha=1 - s.momentum)
        _average(h[1], s.momentum2, g)
        torch._foreach_copy_(g, h[0])
        _divide_by_root(g, h[1], s.delta, self.rate(s))

    def rate(self, s: Settings) -> float:
        """The rate with the correction in it."""
        with np.errstate(all="ignore"):  # momenta out of range make inf or NaN, as in BVLC
            m1, m2 = np.float64(s.momentum), np.float64(s.momentum2)
            correction = float(np.sqrt(1 - m2**s.t) / (1 - m1**s.t))
        return s.rate * correction


def _average(h: Tensors, share: float, g: Tensors) -> None:
    """The running mean of g^2: h = share h + (1 - share) g^2."""
    torch._foreach_mul_(h, share)
    torch._foreach_addcmul_(h, g, g, value=1 - share)


def _divide_by_root(g: Tensors, h: Tensors, delta: float, rate: float) -> None:
    """g = rate g / (sqrt(h) + delta)."""
    root = torch._foreach_sqrt(h)
    torch._foreach_add_(root, delta)
    torch._foreach_div_(g, root)
    torch._foreach_mul_(g, rate)


#: What native/update.py calls the rules: these themselves, not what derives from them.
NATIVE: dict[type[UpdateRule], str] = {
    Sgd: "SGD",
    Nesterov: "NESTEROV",
    AdaGrad: "ADAGRAD",
    RMSProp: "RMSPROP",
    AdaDelta: "ADADELTA",
    Adam: "ADAM",
}
