"""MultiStageMeanfield: a CRF over the pixels as a recurrent layer (CRF-RNN)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from caffe.errors import LayerError
from caffe.layer import Layer, Shape, Tensors, register
from caffe.layer.extensions._crf import bilateral_features, by_pixel, lattice, spatial_features
from caffe.layer.extensions._permutohedral import Filtered, Lattice

Pair = tuple[Lattice, torch.Tensor]  # a filter and one over its norm


@register("MultiStageMeanfield")
class MultiStageMeanfield(Layer):
    """``num_iterations`` times ``x = unary - M (A F_s(q) + B F_b(q))`` with ``q = softmax(x)``.

    Bottoms: unary scores and the scores x to begin with, both N x C x H x W (in CRF-RNN the same
    ones), and pictures N x K x H x W.  The top is the last x, scores again.

    F_s is a filter of Gaussian weights of the places, whose deviation is ``theta_gamma`` pixels;
    F_b one of places and colours, with ``theta_alpha`` and ``theta_beta``.  Weights are divided by
    their sum at each pixel.  Three blobs, each 1 x 1 x C x C: A has ``spatial_filter_weight`` on
    its diagonal at first, or the numbers of ``spatial_filter_weights_str``, one a class (0 for
    those left over); B likewise of ``bilateral_...``; M is ``compatibility_mode`` POTTS: -1 on
    its diagonal, or POTTS_ZERO: 0 there and 1 elsewhere.  ``threshold`` and ``force_cpu`` change
    nothing.

    Filters are of the permutohedral lattice, as CRF-RNN's.  Unary, x and blobs receive gradients,
    pictures do not.  Zheng et al. (2015) describe the layer.
    """

    bottoms = 3
    no_gradient = frozenset({2})
    leaves_out_no_gradient = True  # pictures may come from layers that learn, and get none
    graphable = False
    not_exported = "the filter's lattice depends on the picture"

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p = self.param.multi_stage_meanfield_param
        self.steps = p.num_iterations
        if self.steps < 1:
            raise self.fail(f"num_iterations must be at least 1, got {self.steps}", LayerError)
        self.deviations = p.theta_alpha, p.theta_beta, p.theta_gamma
        if not all(theta > 0 for theta in self.deviations):
            raise self.fail(
                f"theta_alpha, theta_beta and theta_gamma must be positive, got {self.deviations}",
                LayerError,
            )
        channels = self._channels(bottom_shapes)
        for _ in range(3):
            self.add_blob((1, 1, channels, channels))
        if self.param.blobs:
            return
        for blob, kind in zip(self.blobs, ("spatial", "bilateral")):
            blob.data[0, 0].flat[:: channels + 1] = self._weights(kind, channels)
        potts = p.compatibility_mode == p.POTTS
        self.blobs[2].data[...] = 0 if potts else 1
        self.blobs[2].data[0, 0].flat[:: channels + 1] = -1 if potts else 0

    def _weights(self, kind: str, channels: int) -> list[float]:
        p = self.param.multi_stage_meanfield_param
        words = getattr(p, f"{kind}_filter_weights_str").split()
        if not words:
            return [getattr(p, f"{kind}_filter_weight")] * channels
        try:
            numbers = [float(word) for word in words]
        except ValueError:
            numbers = []
        if not 0 < len(numbers) <= channels:
            raise self.fail(
                f"{kind}_filter_weights_str needs up to {channels} numbers, one a class, got "
                f"'{' '.join(words)}'",
                LayerError,
            )
        return numbers + [0.0] * (channels - len(numbers))

    def _channels(self, bottom_shapes: Sequence[Shape]) -> int:
        unary, start, picture = bottom_shapes
        if len(unary) != 4 or unary != start:
            raise self.fail(
                f"needs two bottoms of scores of one shape (N, C, H, W), got {unary} and {start}"
            )
        if len(picture) != 4 or (picture[0], *picture[2:]) != (unary[0], *unary[2:]):
            raise self.fail(f"expected pictures as many and as large as {unary}, got {picture}")
        return unary[1]

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        channels = self._channels(bottom_shapes)
        if channels != self.blobs[0].dims[3]:
            raise self.fail(f"its blobs are for {self.blobs[0].dims[3]} classes, got {channels}")
        return [bottom_shapes[0]]

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        unary, start, pictures = bottoms
        alpha, beta, gamma = self.deviations
        h, w = unary.shape[2:]
        spatial = _pair(lattice(self, spatial_features(h, w, gamma, unary.device)))
        results = []
        for item in range(len(unary)):
            features = bilateral_features(pictures[item].detach(), alpha, beta)
            bilateral = _pair(lattice(self, features))
            x = self._infer(
                by_pixel(unary[item]), by_pixel(start[item]), spatial, bilateral, params
            )
            results.append(x.t().reshape(unary.shape[1:]))
        return [torch.stack(results)]

    def _infer(
        self, unary: torch.Tensor, x: torch.Tensor, spatial: Pair, bilateral: Pair, params: Tensors
    ) -> torch.Tensor:
        """The scores of one picture, a row a pixel."""
        weights = [blob[0, 0].t() for blob in params]
        for _ in range(self.steps):
            q = torch.softmax(x, 1)
            message = _means(q, spatial) @ weights[0] + _means(q, bilateral) @ weights[1]
            x = unary - message @ weights[2]
        return x


def _pair(made: Lattice) -> Pair:
    return made, made.inverse_norm()


def _means(q: torch.Tensor, pair: Pair) -> torch.Tensor:
    made, inverse = pair
    filtered: torch.Tensor = Filtered.apply(q, made)
    return filtered * inverse
