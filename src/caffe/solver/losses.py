"""The loss that a solver displays: a mean over the last iterations.

On a GPU a pass leaves its loss there, and nobody waits for it: the losses of the iterations go into
a strip of memory on the device, and the host reads them all at once when one is displayed.
"""

from __future__ import annotations

import numpy as np
import torch

__all__ = ["Losses"]

_F32 = np.float32
_STRIP = 1024  # losses on the device before the host fetches them even if nobody asked


class Losses:
    """Mean of the losses of the iterations since :meth:`restart`, at most the last ``length``."""

    def __init__(self) -> None:
        self._strip: torch.Tensor | None = None
        self.restart(1)

    def restart(self, length: int) -> None:
        """Forget everything; average ``length`` losses (``average_loss``) from now on."""
        self._length = length
        self._window: list[np.float32] = []
        self._mean = _F32(0)
        self._added = 0  # iterations
        self._passes: list[int] = []  # of each iteration in the strip, what to divide by
        self._sum = _F32(0)  # of the iteration that runs, where its losses are numbers
        self._begun = False

    def add_pass(self, loss: torch.Tensor | np.float32) -> None:
        """Add the loss of one pass to the iteration's."""
        if not isinstance(loss, torch.Tensor):
            self._sum += _F32(loss)
            return
        if self._strip is None or self._strip.device != loss.device:
            self._fetch()
            self._strip = torch.zeros(_STRIP, device=loss.device)
        place = self._strip[len(self._passes)]
        if self._begun:
            place.add_(loss)
        else:
            place.copy_(loss)  # the loss's own memory may be the next pass's too
        self._begun = True

    def end_iteration(self, passes: int = 1) -> None:
        """The iteration's loss is the sum divided by ``passes`` (``iter_size``)."""
        if self._begun:
            self._passes.append(passes)
            self._begun = False
            if len(self._passes) == _STRIP:
                self._fetch()
        else:
            self._smooth(self._sum / _F32(passes))
            self._sum = _F32(0)

    def mean(self) -> np.float32:
        """The mean; waits for a GPU."""
        self._fetch()
        return self._mean

    def _fetch(self) -> None:
        if self._strip is not None and self._passes:
            values = self._strip[: len(self._passes)].cpu().numpy()
            for value, passes in zip(values, self._passes):
                self._smooth(value / _F32(passes))
            self._passes.clear()

    def _smooth(self, loss: np.float32) -> None:
        if len(self._window) < self._length:
            self._window.append(loss)
            n = _F32(len(self._window))
            self._mean = (self._mean * (n - 1) + loss) / n
        else:
            oldest = self._added % self._length
            self._mean += (loss - self._window[oldest]) / _F32(self._length)
            self._window[oldest] = loss
        self._added += 1
