"""The rows of the table, each a call of `plan`: dataset, backbone, stride, and what is unusual."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fcn.catalog import datasets as d
from fcn.catalog.experiment import Experiment, plan
from fcn.catalog.initial import EFFICIENTNET, RESNET50, stage
from fcn.catalog.schedules import adam, minibatch, poly, reference

if TYPE_CHECKING:
    from fcn.catalog.dataset import Dataset
    from fcn.catalog.initial import Source
    from fcn.catalog.schedules import Schedule

__all__ = ["EXPERIMENTS"]

EXPERIMENTS: dict[str, Experiment] = {}


def _row(
    name: str,
    dataset: Dataset,
    backbone: str,
    stride: int,
    init: tuple[Source, ...] | None = None,
    schedule: Schedule | None = None,
    **more: Any,
) -> None:
    EXPERIMENTS[name] = plan(
        dataset, backbone, stride, name=name, init=init, schedule=schedule, **more
    )


# ---- PASCAL VOC ----------------------------------------------------------------------------------

# The published nets.
_row("voc-fcn32s", d.VOC, "vgg16", 32)
_row("voc-fcn16s", d.VOC, "vgg16", 16, stage("voc-fcn32s"))
_row("voc-fcn8s", d.VOC, "vgg16", 8, stage("voc-fcn16s"))
_row("voc-fcn8s-atonce", d.VOC, "vgg16", 8, schedule=reference(1e-10, steps=300000), at_once=True)
_row("voc-fcn-alexnet", d.VOC, "alexnet", 32)

# In the papers, and never published as prototxts: more backbones, only the scores learn, the
# recipe of the CVPR paper, deconvolution that learns.
_row("voc-fcn-googlenet", d.VOC, "googlenet", 32)
_row("voc-fcn32s-vgg19", d.VOC, "vgg19", 32)
_row("voc-fcn32s-fixed", d.VOC, "vgg16", 32, fixed=True)
_row("voc-fcn32s-minibatch", d.VOC, "vgg16", 32, schedule=minibatch(1e-4), normalize=True)
_row("voc-fcn-alexnet-minibatch", d.VOC, "alexnet", 32, schedule=minibatch(1e-3))
_row("voc-fcn8s-learned", d.VOC, "vgg16", 8, stage("voc-fcn16s"), learned=True)

# Around them: ResNet-50, and other heads at stride 8.
_row("voc-fcn32s-resnet50", d.VOC, "resnet50", 32)
_row("voc-fcn16s-resnet50", d.VOC, "resnet50", 16, stage("voc-fcn32s-resnet50"))
_row("voc-fcn8s-resnet50", d.VOC, "resnet50", 8, stage("voc-fcn16s-resnet50"))
_row("voc-fcn8s-light", d.VOC, "vgg16", 8, head="light")
_row("voc-fcn8s-concat", d.VOC, "vgg16", 8, head="concat")
_row("voc-fcn8s-fpn", d.VOC, "resnet50", 8, RESNET50, head="pyramid")

# EfficientNet-Lite0 on VOC 2012 alone: the paper's three stages, and a decoder at stride 4 at once.
_LITE: dict[str, Any] = dict(dataset=d.VOC_CROPS, backbone="efficientnet-lite0")
_row("voc-fcn32s-lite0", stride=32, schedule=adam(3000, 1e-3, 500, 1449), **_LITE)
_row(
    "voc-fcn16s-lite0",
    stride=16,
    init=stage("voc-fcn32s-lite0"),
    schedule=adam(1500, 3e-4, 500, 1449),
    **_LITE,
)
_row(
    "voc-fcn8s-lite0",
    stride=8,
    init=stage("voc-fcn16s-lite0"),
    schedule=adam(1500, 3e-4, 500, 1449),
    **_LITE,
)
# It starts from the classifier's own classes; strides up to 8 stay as ILSVRC taught them.
_row(
    "voc-fcn4s-lite0",
    stride=4,
    head="classes",
    fixed=8,
    schedule=adam(1800, 1e-3, 300, 1449),
    **dict(_LITE, dataset=d.VOC_FEW),
)
# The same with BatchNorm in the trunk that goes on learning, as it did on ILSVRC.
_row(
    "voc-fcn4s-lite0-learning",
    d.VOC_CROPS,
    "efficientnet-lite0-learning",
    4,
    head="fusion",
    schedule=adam(4000, 1e-3, 1000, 1449),
)

# ---- PASCAL-Context ------------------------------------------------------------------------------

_CONTEXT = dict(test_iter=5105, steps=400000, every=8000, max_iter=300000)
for _stride, _init, _rate in (
    (32, None, 1e-10),
    (16, stage("pascalcontext-fcn32s"), 1e-12),
    (8, stage("pascalcontext-fcn16s"), 1e-14),
):
    _row(
        f"pascalcontext-fcn{_stride}s",
        d.PASCALCONTEXT,
        "vgg16",
        _stride,
        _init,
        reference(_rate, **_CONTEXT),
    )

# ---- SIFT Flow: two heads ------------------------------------------------------------------------

# The last stage keeps the rate of the one before, as published.
_SIFTFLOW: dict[str, Any] = dict(test_iter=200, every=2000, snapshot=None, max_iter=300000)
for _stride, _init, _rate in (
    (32, None, 1e-10),
    (16, stage("siftflow-fcn32s"), 1e-12),
    (8, stage("siftflow-fcn16s"), 1e-12),
):
    _row(
        f"siftflow-fcn{_stride}s",
        d.SIFTFLOW,
        "vgg16",
        _stride,
        _init,
        reference(_rate, **_SIFTFLOW),
    )

# ---- NYUDv2: one modality, early fusion, late fusion ---------------------------------------------


def _nyud(rate: float) -> Schedule:
    return reference(rate, test_iter=654, every=2000, snapshot=2000, max_iter=300000)


_row("nyud-fcn32s-color", d.NYUD_COLOR, "vgg16", 32, None, _nyud(1e-10))
_row("nyud-fcn32s-hha", d.NYUD_HHA, "vgg16", 32, None, _nyud(1e-10))
_row("nyud-fcn32s-color-d", d.NYUD_COLOR_DEPTH, "vgg16", 32, None, _nyud(1e-10), fusion="early")
_row(
    "nyud-fcn32s-color-hha",
    d.NYUD_COLOR_HHA,
    "vgg16",
    32,
    stage("nyud-fcn32s-color", "color") + stage("nyud-fcn32s-hha", "hha"),
    _nyud(1e-12),
    fusion="late",
)
_row(
    "nyud-fcn16s-color-hha",
    d.NYUD_COLOR_HHA,
    "vgg16",
    16,
    stage("nyud-fcn32s-color-hha"),
    _nyud(1e-14),
    fusion="late",
)

# ---- CamVid, from scratch ------------------------------------------------------------------------

_row("camvid-fcn32s", d.CAMVID, "camvid", 32, None, poly(2400, 0.05, 800, 101))
_row("camvid-fcn16s", d.CAMVID, "camvid", 16, stage("camvid-fcn32s"), poly(800, 0.03, 400, 101))
_row("camvid-fcn8s", d.CAMVID_FINE, "camvid", 8, stage("camvid-fcn16s"), poly(2400, 0.04, 800, 101))

# ---- CamVid, from a trunk trained on ILSVRC ------------------------------------------------------

# Enlarged: chosen on val, benchmarks/results/2026-11-27-enlarged.md.
for _stride, _head, _enlarged in ((8, "sum", None), (4, "fusion", (4, 3))):
    _row(
        f"camvid-fcn{_stride}s-lite0",
        d.CAMVID_LITE,
        "efficientnet-lite0",
        _stride,
        EFFICIENTNET[0],
        adam(3200, 1e-3, 800, 101),
        head=_head,
        fixed=4,
        enlarged=_enlarged,
    )

# ---- membranes of cells, from scratch ------------------------------------------------------------

# The full width wants a GPU; a quarter of it learns on a CPU.
_row("membrane-unet", d.MEMBRANE, "unet", 1, None, poly(6000, 0.01, 1000, 5))
_row("membrane-unet-small", d.MEMBRANE, "unet-small", 1, None, poly(300, 0.05, 100, 5))

# ---- generated pictures, from scratch ------------------------------------------------------------

_row("toy-fcn32s", d.TOY, "toy", 32, None, poly(600, 0.05, 300, 40))
_row("toy-fcn16s", d.TOY, "toy", 16, stage("toy-fcn32s"), poly(200, 0.02, 200, 40))
_row("toy-fcn8s", d.TOY, "toy", 8, stage("toy-fcn16s"), poly(300, 0.02, 300, 40))
# There is no trunk trained on something else for it: random features, unless --weights names one.
_row("toy-fcn32s-fixed", d.TOY, "toy", 32, None, poly(600, 0.05, 300, 40), fixed=True)
_row(
    "toy-fcn8s-learned",
    d.TOY,
    "toy",
    8,
    stage("toy-fcn16s"),
    poly(300, 0.02, 300, 40),
    learned=True,
)
for _name, _more in (
    ("atonce", dict(at_once=True)),
    ("light", dict(head="light")),
    ("concat", dict(head="concat")),
    ("fpn", dict(head="pyramid")),
):
    _row("toy-fcn8s-" + _name, d.TOY, "toy", 8, (), poly(600, 0.05, 300, 40), **_more)
_row("toy-unet", d.TOY, "unet-small", 1, None, poly(300, 0.05, 100, 40))
