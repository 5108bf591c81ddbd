"""What all heads are written with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from caffe import layers as L
from fcn.backbones import LEARNED, MEASURED
from fcn.geometry.align import crop
from fcn.heads import enlarging

if TYPE_CHECKING:
    from caffe.net_spec import NetSpec, Top
    from fcn.backbones import Features, Skip
    from fcn.catalog.backbones import Style
    from fcn.catalog.dataset import Output

#: Of the layers of a head that come before its scores: zeros would never learn there.
_RANDOM = dict(type="msra")


class Draft:
    """A net in the making. n: its NetSpec; image: the top that scores are cropped to; style: see
    fcn/catalog/backbones.py; stride: of the finest scores; scales: stride → factor of the skips;
    enlarged: (a, b) if the trunk sees the image at a/b times its size."""

    def __init__(
        self,
        n: NetSpec,
        image: Top,
        phase: str,
        style: Style,
        stride: int,
        scales: dict[int, float],
        enlarged: tuple[int, int] = (1, 1),
    ) -> None:
        self.n, self.image, self.phase, self.style = n, image, phase, style
        self.stride, self.scales, self.enlarged = stride, scales, enlarged

    def skips(self, features: Features) -> list[tuple[int, Skip]]:
        """[(stride, Skip)] that a net of this stride reads, coarse to fine."""
        return [pair for pair in features.skips.items() if pair[0] >= self.stride]

    def score(self, bottom: Top, classes: int) -> Top:
        """A score layer: a 1×1 convolution."""
        more = dict(weight_filler=self.style.filler) if self.style.filler else {}
        rate = self.style.score_rate
        param = LEARNED if rate == 1 else [dict(p, lr_mult=rate) for p in LEARNED]
        return L.Convolution(bottom, num_output=classes, kernel_size=1, pad=0, param=param, **more)

    def hidden(self, bottom: Top, width: int, kernel: int = 1) -> Top:
        """A convolution that keeps the size and starts at random."""
        return L.Convolution(
            bottom,
            num_output=width,
            kernel_size=kernel,
            pad=kernel // 2,
            param=LEARNED,
            weight_filler=_RANDOM,
        )

    def norm_relu(self, name: str, bottom: Top) -> Top:
        """BatchNorm, Scale and ReLU in place: bn_…, scale_…, relu_… `name`."""
        self.n["relu_" + name] = top = L.ReLU(self.norm(name, bottom), in_place=True)
        return top

    def norm(self, name: str, bottom: Top) -> Top:
        """BatchNorm and Scale in place: bn_… and scale_… `name`."""
        n = self.n
        n["bn_" + name] = top = L.BatchNorm(
            bottom, in_place=True, moving_average_fraction=self.style.fraction, param=MEASURED
        )
        n["scale_" + name] = top = L.Scale(
            top, in_place=True, bias_term=True, param=[dict(lr_mult=1, decay_mult=0)] * 2
        )
        return top

    def upsample(self, bottom: Top, channels: int, factor: int, last: bool = False) -> Top:
        """Bilinear upsampling of scores, which learns if the style says so, but for the last."""
        param = [dict(lr_mult=1 if self.style.learned and not last else 0)]
        return self._deconvolution(bottom, channels, factor, self.style.grouped, param)

    def enlarge(self, bottom: Top, channels: int, factor: int) -> Top:
        """Bilinear upsampling of features, each channel by itself; it does not learn."""
        return self._deconvolution(bottom, channels, factor, True, [dict(lr_mult=0)])

    def _deconvolution(
        self,
        bottom: Top,
        channels: int,
        factor: int,
        grouped: bool,
        param: Sequence[Mapping[str, float]],
    ) -> Top:
        kernel = 2 * factor - self.style.odd
        fields: dict[str, Any] = dict(
            num_output=channels, kernel_size=kernel, stride=factor, bias_term=False
        )
        if grouped:
            fields.update(group=channels, weight_filler=dict(type="bilinear"))
        return L.Deconvolution(bottom, convolution_param=fields, param=param)

    def finish(self, coarse: Top, output: Output, stride: int) -> None:
        """Add upscore… and `score`: the scores at a stride, brought to the size of the image."""
        stride = enlarging.stride_of(stride, self.enlarged)
        if stride > 1:
            # "upscore" alone is the 32s net's; the others say their stride.
            last = "upscore{}{}".format("" if stride == 32 else stride, output.suffix)
            self.n[last] = coarse = self.upsample(coarse, output.classes, stride, last=True)
        self.n["score" + output.suffix] = crop(coarse, self.image)

    def scores(self, bottom: Top, output: Output) -> None:
        """Add score_fr, a score of features at the finest stride, and what `finish` adds."""
        top = self.score(bottom, output.classes)
        if self.stride == 1:  # of the image's size already
            self.n["score" + output.suffix] = top
            return
        self.n["score_fr" + output.suffix] = top
        self.finish(top, output, self.stride)
