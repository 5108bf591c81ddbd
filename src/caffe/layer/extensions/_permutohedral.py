"""Gaussian filters in many dimensions: the permutohedral lattice of Adams, Baek and Davis (2010).

A value at a point becomes the sum of all points' values, each weighted by ``exp(-|f - g|^2 / 2)``
of the distance of the two points' features, up to a factor that is about the same everywhere.
Values are spread over the corners of the simplex that holds their point (splat), blurred along the
lattice's axes with the weights 1/2, 1, 1/2, and read again at the points (slice).  Only corners of
simplices that hold a point are kept, and blurring goes between those alone, as in Krähenbühl and
Koltun (2011), whose filter DeepLab's and CRF-RNN's layers are built on.

All three steps are products with sparse matrices, which ``embedding_bag`` computes.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F

from caffe.kernels.division import divide

__all__ = ["Lattice"]

_MOST_KEYS = 2**62  # a corner's place is packed into one int64
_FARTHEST = 1e5  # deviations from 0, beyond which float32 does not tell simplices apart


class Lattice:
    """The lattice of some points; ``features`` is (points, dimensions), in standard deviations.

    Raises ValueError where the features are not finite, or lie too far apart to be numbered.
    """

    def __init__(self, features: torch.Tensor) -> None:
        features = features.float()
        largest = float(features.abs().max()) if features.numel() else 0.0
        if not math.isfinite(largest):
            raise ValueError("the features have to be finite")
        if largest > _FARTHEST:
            raise ValueError(f"the features lie too far apart: up to {largest:.3g} deviations")
        self.count, d = features.shape
        base, rank, self.weights = _simplices(features)
        # The corner with the remainder r: its place along the first d of d + 1 coordinates.
        remainder = torch.arange(d + 1, device=features.device)
        turned = rank[:, None, :d] > d - remainder[:, None]
        keys = base[:, None, :d] + remainder[:, None] - (d + 1) * turned
        strides, keys = _packed(keys.view(-1, d))
        codes, corners = torch.unique(keys, return_inverse=True)
        self.corners = corners.view(self.count, d + 1)
        self.size = len(codes)
        order = torch.argsort(corners, stable=True)
        self.splat_points = order.div(d + 1, rounding_mode="floor")
        self.splat_weights = self.weights.reshape(-1)[order]
        counts = torch.bincount(corners, minlength=self.size)
        self.splat_offsets = counts.cumsum(0) - counts
        # One step along an axis is d along it and -1 along all others; the last one is implied.
        steps = [(d + 1) * stride - sum(strides) for stride in (*strides, 0)]
        self.blurs = [_blur_matrix(codes, step) for step in steps]
        self.scale = 1 / (1 + 2.0**-d)

    def filter(self, values: torch.Tensor, transposed: bool = False) -> torch.Tensor:
        """(points, channels) to the same; ``transposed`` is the filter whose matrix is transposed,
        which blurs along the axes the other way round."""
        x = F.embedding_bag(
            self.splat_points,
            values.contiguous(),
            self.splat_offsets,
            mode="sum",
            per_sample_weights=self.splat_weights,
        )
        for indices, weights in reversed(self.blurs) if transposed else self.blurs:
            x = F.embedding_bag(indices, x, mode="sum", per_sample_weights=weights)
        y = F.embedding_bag(self.corners, x, mode="sum", per_sample_weights=self.weights)
        return y.mul_(self.scale)

    def inverse_norm(self) -> torch.Tensor:
        """One over the filter of ones, (points, 1): what makes weighted sums weighted means."""
        ones = torch.ones(self.count, 1, device=self.weights.device)
        return 1 / (self.filter(ones) + 1e-20)


class Filtered(torch.autograd.Function):
    """``Filtered.apply(values, lattice)``: the filter, with its gradient."""

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor, lattice: Lattice) -> torch.Tensor:
        ctx.lattice = lattice
        return lattice.filter(values)

    @staticmethod
    def backward(ctx: Any, diff: torch.Tensor) -> tuple[torch.Tensor, None]:
        return ctx.lattice.filter(diff, transposed=True), None


def _simplices(features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Where each point lies: the simplex's corner with the remainder 0, (points, d + 1) integers;
    the rank of each coordinate in it; and the weights of its corners, by their remainder."""
    count, d = features.shape
    # Onto the plane of d + 1 coordinates whose sum is 0, scaled so that the blur has deviation 1.
    factors = [math.sqrt(2 / 3) * (d + 1) / math.sqrt((i + 1) * (i + 2)) for i in range(d)]
    elevated = features.new_empty(count, d + 1)
    total = features.new_zeros(count)
    for j in range(d, 0, -1):
        scaled = features[:, j - 1] * factors[j - 1]
        elevated[:, j] = total - j * scaled
        total = total + scaled
    elevated[:, 0] = total
    # The nearest multiples of d + 1 need not have the sum 0: those rounded farthest are moved.
    low = torch.floor(divide(elevated, d + 1)) * (d + 1)
    nearest = torch.where(low + (d + 1) - elevated < elevated - low, low + (d + 1), low)
    excess = divide(nearest.sum(1, keepdim=True), d + 1).round().long()
    left = elevated - nearest
    rank = torch.stack(
        [
            (left[:, :i] >= left[:, i : i + 1]).sum(1)
            + (left[:, i + 1 :] > left[:, i : i + 1]).sum(1)
            for i in range(d + 1)
        ],
        1,
    )  # how many are larger; of equal ones the first counts as larger
    rank += excess
    move = (d + 1) * ((rank < 0).long() - (rank > d).long())
    rank += move
    base = nearest.long() + move
    share = divide(elevated - base, d + 1)
    weights = features.new_zeros(count, d + 2)
    weights.scatter_add_(1, d - rank, share)
    weights.scatter_add_(1, d + 1 - rank, -share)
    weights[:, 0] += 1 + weights[:, d + 1]
    return base, rank, weights[:, : d + 1].contiguous()


def _packed(keys: torch.Tensor) -> tuple[list[int], torch.Tensor]:
    """Places of corners as one number each, such that their neighbours' numbers are unique too;
    what a step along each axis adds to it."""
    d = keys.shape[1]
    low = keys.amin(0) - (d + 1)
    lengths = (keys.amax(0) + (d + 1) - low + 1).tolist()
    if math.prod(lengths) > _MOST_KEYS:
        raise ValueError(f"the features lie too far apart: {' x '.join(map(str, lengths))} places")
    strides = [math.prod(lengths[i + 1 :]) for i in range(d)]
    return strides, ((keys - low) * torch.tensor(strides, device=keys.device)).sum(1)


def _blur_matrix(codes: torch.Tensor, step: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Each corner with its two neighbours along an axis, and their weights: 0 where there is none.

    ``codes``: the corners' numbers, sorted; ``step``: what a step along the axis adds to them.
    """
    here = torch.arange(len(codes), device=codes.device)
    wanted = codes + step
    found = torch.searchsorted(codes, wanted).clamp_(max=len(codes) - 1)
    there = codes[found] == wanted
    back = torch.full_like(here, -1)
    back[found[there]] = here[there]
    indices = torch.stack([torch.where(there, found, 0), here, back.clamp(min=0)], 1)
    weights = torch.stack([0.5 * there, torch.ones_like(there), 0.5 * (back >= 0)], 1)
    return indices, weights.float()
