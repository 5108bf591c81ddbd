"""DenseCRF: mean-field inference in a fully connected CRF over the pixels (DeepLab)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from caffe.errors import LayerError
from caffe.layer import Layer, Shape, Tensors, register
from caffe.layer.extensions._crf import bilateral_features, by_pixel, lattice, spatial_features

SMALLEST = torch.finfo(torch.float32).tiny  # of what a logarithm is taken


@register("DenseCRF")
class DenseCRF(Layer):
    """``max_iter`` (10) times ``q = softmax(s + sum w F(q))``, from ``q = softmax(s)``.

    Bottoms: scores s, N x C x H x W, logarithms of probabilities up to a constant; N heights and
    widths of the pictures, beyond which the top is 0 (a picture smaller than the bottom is at its
    top left); pictures N x 3 x H x W in units of 0 to 255, which may be missing.

    ``dense_crf_param``: for each ``pos_w`` w a filter F of Gaussian weights of the places, whose
    deviation is ``pos_xy_std`` pixels; for each ``bi_w`` one of places and colours, with
    ``bi_xy_std`` and ``bi_rgb_std``.  Weights are divided by their sum at each pixel.  The top is
    q, or with ``output_probability`` false its logarithm, of at least the smallest normal float.

    Filters are of the permutohedral lattice, as DeepLab's.  Its exponential function is less exact.
    Krähenbühl and Koltun (2011) describe the method.  No gradient, as in DeepLab.
    """

    bottoms = (2, 3)
    differentiable = False
    graphable = False
    not_exported = "the filter's lattice depends on the picture"

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p = self.param.dense_crf_param
        self.steps, self.probability = p.max_iter, p.output_probability
        self.places = _table(self, p, "pos_w", "pos_xy_std")
        self.colours = _table(self, p, "bi_w", "bi_xy_std", "bi_rgb_std")
        if self.num_bottoms == 3 and not self.colours:
            raise self.fail(
                "has a bottom of pictures, but no bi_w, bi_xy_std, bi_rgb_std", LayerError
            )

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        scores, sizes = bottom_shapes[:2]
        if len(scores) != 4:
            raise self.fail(f"the scores must have 4 axes (N, C, H, W), got {scores}")
        values = 1
        for n in sizes[1:]:
            values *= n
        if not sizes or sizes[0] != scores[0] or values < 2:
            raise self.fail(f"expected a height and a width for {scores[0]} pictures, got {sizes}")
        picture = (scores[0], 3, *scores[2:])
        if self.num_bottoms == 3 and tuple(bottom_shapes[2]) != picture:
            raise self.fail(f"expected pictures of the shape {picture}, got {bottom_shapes[2]}")
        return [scores]

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        scores = bottoms[0].float()
        top = torch.zeros_like(scores)
        sizes = bottoms[1].flatten(1)[:, :2].long().tolist()
        for item, (height, width) in enumerate(sizes):
            h, w = scores.shape[2:]
            if height < h or width < w:
                h, w = min(max(height, 0), h), min(max(width, 0), w)
            if not h or not w:
                continue
            picture = bottoms[2][item, :, :h, :w] if self.num_bottoms == 3 else None
            top[item, :, :h, :w] = self._infer(scores[item, :, :h, :w], picture)
        return [top]

    def _infer(self, scores: torch.Tensor, picture: torch.Tensor | None) -> torch.Tensor:
        """One picture's q or its logarithm, C x H x W."""
        channels, h, w = scores.shape
        terms = []
        for weight, std in self.places:
            made = lattice(self, spatial_features(h, w, std, scores.device))
            terms.append((made, weight * made.inverse_norm()))
        if picture is not None:
            for weight, xy, rgb in self.colours:
                made = lattice(self, bilateral_features(picture, xy, rgb))
                terms.append((made, weight * made.inverse_norm()))
        unary = by_pixel(scores)
        q = torch.softmax(unary, 1)
        for _ in range(self.steps):
            total = unary.clone()
            for made, factor in terms:
                total.addcmul_(made.filter(q), factor.expand_as(q))
            q = torch.softmax(total, 1)
        if not self.probability:
            q = q.clamp(min=SMALLEST).log()
        return q.t().reshape(channels, h, w)


def _table(layer: Layer, settings: object, *names: str) -> list[tuple[float, ...]]:
    """The rows of fields that are given equally often."""
    columns = [list(getattr(settings, name)) for name in names]
    if len({len(column) for column in columns}) > 1:
        raise layer.fail(
            f"needs {', '.join(names)} equally often, got "
            f"{', '.join(str(len(column)) for column in columns)}",
            LayerError,
        )
    if any(not value > 0 for column in columns[1:] for value in column):
        raise layer.fail(f"{', '.join(names[1:])} must be positive, got {columns[1:]}", LayerError)
    return list(zip(*columns))
