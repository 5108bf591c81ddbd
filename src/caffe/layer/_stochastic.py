"""Stochastic pooling: one value of each window, drawn with probability proportional to it.

Zeiler and Fergus, "Stochastic Pooling for Regularization of Deep Convolutional Neural Networks",
2013.  Windows are tensors (N, C, H', W', kernel), in raster order, 0 where they reach beyond the
image; the values are meant to be positive, as after a ReLU.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from caffe import rng
from caffe.layer._draws import DeviceDraws


def windows(x: torch.Tensor, kernel: Sequence[int], stride: Sequence[int]) -> torch.Tensor:
    """The windows of (N, C, H, W), all of which must lie within it."""
    for axis, (k, s) in enumerate(zip(kernel, stride), 2):
        x = x.unfold(axis, k, s)
    return x.flatten(4)


def expected(w: torch.Tensor) -> torch.Tensor:
    """The mean of such draws, ``sum x^2 / sum x``; 0 where the sum is not positive."""
    total = w.sum(-1)
    # Infinity rather than a choice afterwards: so the gradient there is 0 and not NaN.
    return w.square().sum(-1) / torch.where(total > 0, total, torch.inf)


def draw(w: torch.Tensor, draws: DeviceDraws) -> tuple[torch.Tensor, torch.Tensor]:
    """A value of each window and its place in it: the first whose running sum reaches a random
    share of the total.  Where the sum is NaN the value is NaN and the place -1."""
    running = w.cumsum(-1)
    reached = running >= _shares(w[..., 0], draws).unsqueeze(-1) * running[..., -1:]
    place = reached.to(torch.uint8).argmax(-1, keepdim=True)  # the first of the equal ones
    value = w.gather(-1, place).squeeze(-1)
    found = reached.any(-1)
    return torch.where(found, value, torch.nan), torch.where(found, place.squeeze(-1), -1)


def _shares(like: torch.Tensor, draws: DeviceDraws) -> torch.Tensor:
    """Uniform numbers in [0, 1]: on the CPU from Caffe's random stream, one a window in N, C, H, W
    order; on a GPU one number of that stream seeds PyTorch's generator."""
    if like.device.type == "cpu":
        values = torch.from_numpy(rng.get().uniform(0, 1, like.numel()))
        return values.to(like.dtype).view(like.shape)
    return torch.empty(like.shape, dtype=like.dtype, device=like.device).uniform_(
        generator=draws.on(like.device)
    )
