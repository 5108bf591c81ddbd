"""The six update rules: from a gradient and its history to what is subtracted from the weights.

Every rule works in place on tensors of equal shape: ``g`` comes in as the regularised gradient and
goes out as the update; the history tensors are advanced.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch

from caffe.errors import SolverError
from caffe.solver import fused_sgd

__all__ = ["AdaDelta", "AdaGrad", "Adam", "Nesterov", "RMSProp", "Settings", "Sgd", "UpdateRule"]

Tensor = torch.Tensor


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

    def check(self, param: Any) -> None:
        """Raise SolverError for settings (a SolverParameter) that the rule cannot work with."""

    def fused(
        self, w: Tensor, g: Tensor, h: list[Tensor], s: Settings, decay: float, factor: float
    ) -> bool:
        """Do everything at once, scaling by ``factor``, L2 decay and subtraction included.

        False where that is not possible; nothing is changed then.
        """
        return False

    def update(self, g: Tensor, h: list[Tensor], s: Settings) -> None:
        raise TypeError(f"{type(self).__name__} has no update: derive from it and write one")


class Sgd(UpdateRule):
    """h = m h + r g; the update is h.  The rate is inside the history, as in BVLC."""

    still_at_zero_rate = True

    def fused(
        self, w: Tensor, g: Tensor, h: list[Tensor], s: Settings, decay: float, factor: float
    ) -> bool:
        plain = all(t.device.type == "cpu" and t.is_contiguous() for t in (w, g, h[0]))
        # The scale that carries the rate is its inverse, which must be a float32 number.
        carried = 1e-30 < s.rate * factor < 1e30
        # Without momentum PyTorch keeps no history.
        if not (plain and carried and s.momentum and fused_sgd.available()):
            return False
        fused_sgd.update(w, g, h[0], s.rate, s.momentum, decay, factor)
        return True

    def update(self, g: Tensor, h: list[Tensor], s: Settings) -> None:
        h[0].mul_(s.momentum).add_(g, alpha=s.rate)
        g.copy_(h[0])


class Nesterov(UpdateRule):
    """h' = m h + r g; the update is (1 + m) h' - m h."""

    still_at_zero_rate = True

    def update(self, g: Tensor, h: list[Tensor], s: Settings) -> None:
        before = h[0].clone()
        h[0].mul_(s.momentum).add_(g, alpha=s.rate)
        torch.mul(h[0], 1 + s.momentum, out=g)
        g.sub_(before, alpha=s.momentum)


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

    def update(self, g: Tensor, h: list[Tensor], s: Settings) -> None:
        h[0].addcmul_(g, g)
        g.div_(h[0].sqrt().add_(s.delta)).mul_(s.rate)


class RMSProp(UpdateRule):
    """h = rho h + (1 - rho) g^2; the update is r g / (sqrt(h) + delta)  (Tieleman, Hinton 2012)."""

    def check(self, param: Any) -> None:
        _refuse_momentum(param)
        if not 0 <= param.rms_decay < 1:
            raise SolverError(
                f"rms_decay must lie in [0, 1), received rms_decay: {param.rms_decay:g}"
            )

    def update(self, g: Tensor, h: list[Tensor], s: Settings) -> None:
        h[0].mul_(s.rms_decay).addcmul_(g, g, value=1 - s.rms_decay)
        g.div_(h[0].sqrt().add_(s.delta)).mul_(s.rate)


class AdaDelta(UpdateRule):
    """v = g sqrt((h2 + delta) / (h + delta)); the update is r v  (Zeiler 2012).

    h and h2 are running means of g^2 and v^2 with momentum m.
    """

    histories = 2

    def update(self, g: Tensor, h: list[Tensor], s: Settings) -> None:
        h[0].mul_(s.momentum).addcmul_(g, g, value=1 - s.momentum)
        g.mul_(torch.div(h[1] + s.delta, h[0] + s.delta).sqrt_())
        h[1].mul_(s.momentum).addcmul_(g, g, value=1 - s.momentum)
        g.mul_(s.rate)


class Adam(UpdateRule):
    """The update is r c h / (sqrt(h2) + delta)  (Kingma and Ba 2015).

    h and h2 are running means of g and g^2 with momentum and momentum2, and
    c = sqrt(1 - momentum2^t) / (1 - momentum^t) corrects their start at zero.
    """

    histories = 2

    def update(self, g: Tensor, h: list[Tensor], s: Settings) -> None:
        h[0].mul_(s.momentum).add_(g, alpha=1 - s.momentum)
        h[1].mul_(s.momentum2).addcmul_(g, g, value=1 - s.momentum2)
        with np.errstate(all="ignore"):  # momenta out of range make inf or NaN, as in BVLC
            m1, m2 = np.float64(s.momentum), np.float64(s.momentum2)
            correction = float(np.sqrt(1 - m2**s.t) / (1 - m1**s.t))
        torch.div(h[0], h[1].sqrt().add_(s.delta), out=g)
        g.mul_(s.rate * correction)
