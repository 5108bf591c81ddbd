"""The table of backbones: what builds each, how heads are written on it, how it is trained.

To add one: write `add` in a file in fcn/backbones/, and a row here. Nothing here imports `caffe`;
the builder is imported when a net is built.
"""

import functools
import importlib
from typing import Any, Callable, NamedTuple, Optional

from fcn.catalog.initial import ALEXNET, EFFICIENTNET, GOOGLENET, RESNET50, VGG16, VGG19

__all__ = ["BACKBONES", "FINER", "STRIDES", "Backbone", "Style"]

#: Of nets with three stages, and of those with one more.
STRIDES = (32, 16, 8)
FINER = (*STRIDES, 4)


class Style(NamedTuple):
    """How a head's layers are written."""

    #: One bilinear kernel per class with its filler, instead of the full classes×classes kernel of
    #: the published nets.
    grouped: bool
    #: Kernels of upsampling are 2·stride − 1 instead of 2·stride, where scores are centred on
    #: pixels, not between them.
    odd: bool
    #: The loss is divided by the number of labelled pixels.
    normalize: bool
    #: Of the score layers. None: the zeros of the published nets, which learn because the trunk is
    #: trained.
    filler: Optional[dict[str, Any]] = None
    #: All upsampling but the last learns.
    learned: bool = False
    #: Of the running mean and variance of a head's BatchNorm, what survives an iteration.
    fraction: float = 0.999
    #: Factor of the score layers' rate. They start from zero, and Adam's steps have the size of the
    #: rate: at 1 the first hundred steps only learn how common each class is.
    score_rate: float = 1


class Backbone(NamedTuple):
    """One row."""

    #: "file.function" in fcn/backbones, see `fcn.backbones`.
    builder: str
    #: The name of its first convolution.
    first: str
    style: Style
    #: Stride → factor of the skips where all streams are trained at once; {} where they are
    #: normalised.
    scales: dict[int, float]
    #: Sources of a net at its coarsest stride; () for the fillers.
    init: tuple[Any, ...]
    #: "heavy", "minibatch", "poly" or "adam", see `schedule_of` in experiment.py; and its rate.
    recipe: str
    rate: float
    #: That its nets can have, coarse to fine.
    strides: tuple[int, ...] = STRIDES
    #: The head that its nets have unless another is named.
    head: str = "sum"
    #: The layer of its trained weights that scores the thousand classes of ILSVRC from what a head
    #: reads; None where a head reads something else.
    classifier: Optional[str] = None
    #: Further arguments of the builder.
    options: dict[str, Any] = {}

    @property
    def add(self) -> Callable[..., Any]:
        """The builder: add(n, data, phase, classifier) → Features. Imports `caffe`."""
        module, function = self.builder.split(".")
        found = getattr(importlib.import_module("fcn.backbones." + module), function)
        return functools.partial(found, **self.options)


_PUBLISHED = Style(grouped=False, odd=False, normalize=False)
_TRAINED = Style(grouped=True, odd=True, normalize=True)
#: Weights of the head see the statistics of thousands of crops, not of 20 steps.
_LITE = _TRAINED._replace(fraction=0.97, score_rate=5)
_SCRATCH = Style(
    grouped=True, odd=False, normalize=True, filler=dict(type="gaussian", std=0.01), fraction=0.95
)

#: Training all streams at once, the skips of a trunk without batch normalisation are scaled down:
#: their values are so much larger that a common learning rate would not do.
_SCALES = {16: 0.01, 8: 0.0001}
_ALEXNET = _PUBLISHED._replace(odd=True, normalize=True)


def _lite(variant: int, norm: str) -> Backbone:
    """EfficientNet-Lite; norm: see `fcn.backbones.efficientnet.NORMS`."""
    return Backbone(
        "efficientnet.add",
        "stem",
        _LITE,
        {},
        EFFICIENTNET[variant],
        "adam",
        1e-3,
        FINER,
        classifier="fc",
        options=dict(variant=variant, norm=norm),
    )


BACKBONES = {
    "vgg16": Backbone("vgg16.add", "conv1_1", _PUBLISHED, _SCALES, VGG16, "heavy", 1e-10),
    "vgg19": Backbone("vgg16.add19", "conv1_1", _PUBLISHED, _SCALES, VGG19, "heavy", 1e-10),
    "alexnet": Backbone("alexnet.add", "conv1", _ALEXNET, _SCALES, ALEXNET, "minibatch", 1e-4),
    "googlenet": Backbone(
        "googlenet.add", "conv1/7x7_s2", _TRAINED, _SCALES, GOOGLENET, "minibatch", 5e-5
    ),
    "resnet50": Backbone("resnet.add50", "conv1", _TRAINED, {}, RESNET50, "minibatch", 1e-4),
    **{
        f"efficientnet-lite{variant}{ending}": _lite(variant, ending[1:] or "folded")
        for variant in range(3)
        for ending in ("", "-frozen", "-learning")
    },
    "camvid": Backbone("small.add_camvid", "conv1_1", _SCRATCH, {}, (), "poly", 0.05),
    "toy": Backbone("small.add_toy", "conv1_1", _SCRATCH, {}, (), "poly", 0.05),
    "unet": Backbone("unet.add", "conv1_1", _SCRATCH, {}, (), "poly", 0.01, (1,), "unet"),
    "unet-small": Backbone(
        "unet.add_small", "conv1_1", _SCRATCH, {}, (), "poly", 0.05, (1,), "unet"
    ),
}
