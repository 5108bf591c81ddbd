"""One experiment: which net learns what from which data, and where its files lie.

`plan` makes every one of them: the rows of the catalog and what `nets/make.py --backbone …` writes
into a folder. Nothing here imports `caffe`.
"""

from __future__ import annotations

from collections import namedtuple
from typing import TYPE_CHECKING

from fcn.catalog import schedules
from fcn.catalog.backbones import BACKBONES, STRIDES
from fcn.catalog.heads import HEADS
from fcn.catalog.initial import stage

if TYPE_CHECKING:
    from fcn.catalog.dataset import Dataset
    from fcn.catalog.initial import Source
    from fcn.catalog.schedules import Schedule

#: stride: pixels of the image between two of the scores that are upsampled to it. init: Sources
#: (see fcn/catalog/initial.py), empty: from the fillers. head: see fcn/heads. at_once: all
#: streams are trained from the beginning, with finer ones scaled. fusion: how several image blobs
#: become one score: None (there is one), "early" (one trunk over all channels), "late" (a trunk
#: each, scores averaged). normalize: whether the loss is divided by the number of labelled pixels;
#: None: as the backbone's nets have it. fixed: True: the trunk does not learn; a stride: nor
#: does what EfficientNet has of that stride and finer ones. learned: all upsampling
#: but the last learns. enlarged: None, or (a, b): val and deploy look at the image at a/b times its
#: size, see fcn/heads/enlarging.py. folder: where its files are; None: nets/<name> and solvers/.
Experiment = namedtuple(
    "Experiment",
    "name dataset backbone stride init schedule head at_once fusion normalize fixed learned "
    "enlarged folder",
)

#: The heads that can fuse trunks and train all streams at once.
_SUMMING = " and ".join(name for name, row in HEADS.items() if row.sums)

#: Steps of a net that starts from the fillers.
_POLY_STEPS = 10000


def plan(
    dataset: Dataset,
    backbone: str,
    stride: int,
    name: str | None = None,
    head: str | None = None,
    at_once: bool = False,
    fusion: str | None = None,
    init: tuple[Source, ...] | None = None,
    schedule: Schedule | None = None,
    normalize: bool | None = None,
    fixed: bool | int = False,
    learned: bool = False,
    enlarged: tuple[int, int] | None = None,
    folder: str | None = None,
) -> Experiment:
    """The Experiment of a backbone on a dataset; what is not said is what is usual for them.

    ValueError if they do not go together.
    """
    if head is None:
        head = BACKBONES[backbone].head if backbone in BACKBONES else ""
    _check(dataset, backbone, stride, head, at_once, fusion)
    usual = BACKBONES[backbone]
    if name is None:
        name = name_of(dataset, backbone, stride, head, at_once, fusion)
    if init is None:
        init = usual.init
        if needs_stage(backbone, stride, head, at_once):
            init = stage(
                name_of(dataset, backbone, 2 * stride, head, at_once, fusion),
                origin=f"a net like this one at stride {2 * stride}",
            )
    if normalize is None and HEADS[head].rate and usual.recipe == "heavy":
        normalize = True
    schedule = schedule or schedule_of(dataset, backbone, stride, head, at_once)
    return Experiment(
        name,
        dataset,
        backbone,
        stride,
        init,
        schedule,
        head,
        at_once,
        fusion,
        normalize,
        fixed,
        learned,
        enlarged,
        folder,
    )


def needs_stage(backbone: str, stride: int, head: str | None = None, at_once: bool = False) -> bool:
    """Whether a net starts from one like it at twice the stride, which is trained before it."""
    head = head or ("unet" if backbone.startswith("unet") else "sum")
    return head == "sum" and not at_once and stride != BACKBONES[backbone].strides[0]


def name_of(
    dataset: Dataset,
    backbone: str,
    stride: int,
    head: str = "sum",
    at_once: bool = False,
    fusion: str | None = None,
) -> str:
    """The usual name, such as nyud-fcn16s-vgg16-late."""
    parts: list[str] = [f"{dataset.label}-fcn{stride}s"] + ["atonce"] * at_once + [backbone]
    parts += [head] * (head not in ("sum", backbone)) + ([fusion] if fusion else [])
    return "-".join(parts)


def schedule_of(dataset: Dataset, backbone: str, stride: int, head: str, at_once: bool) -> Schedule:
    """The usual Schedule.

    "heavy": momentum 0.99 and the sum of all pixels' losses, hence a rate that falls a hundredfold
    with each stage; "minibatch": 20 images, momentum 0.9; "poly": from the fillers.
    """
    usual = BACKBONES[backbone]
    if usual.recipe == "poly":
        return schedules.poly(_POLY_STEPS, usual.rate, 1000, dataset.val_images)
    if usual.recipe == "adam":
        return schedules.adam(_POLY_STEPS, usual.rate, 1000, dataset.val_images)
    rate = HEADS[head].rate
    if rate:
        return schedules.minibatch(rate, test_iter=dataset.val_images)
    if usual.recipe == "minibatch":
        return schedules.minibatch(usual.rate, test_iter=dataset.val_images)
    stages = 0 if at_once else STRIDES.index(stride)
    return schedules.reference(
        float(f"{usual.rate * 100**-stages:.1g}"), test_iter=dataset.val_images
    )


def _check(
    dataset: Dataset, backbone: str, stride: int, head: str, at_once: bool, fusion: str | None
) -> None:
    for what, value, known in (("backbone", backbone, BACKBONES), ("head", head, HEADS)):
        if value not in known:
            raise ValueError(f"no {what} {value!r}; there are {', '.join(known)}")
    strides = BACKBONES[backbone].strides
    if stride not in strides:
        raise ValueError(
            f"a net on {backbone} can have the strides "
            f"{', '.join(str(s) for s in strides)}; received {stride}"
        )
    if at_once and (not HEADS[head].sums or stride == 32):
        raise ValueError(
            f"at once goes with the heads {_SUMMING} at stride 16 or 8; received "
            f"{head} at stride {stride}"
        )
    inputs = [blob.blob for blob in dataset.inputs]
    if fusion not in (None, "early", "late") or (fusion is None) != (len(inputs) == 1):
        raise ValueError(
            f"{dataset.name} has the image blobs {', '.join(inputs)}: one needs no "
            f"fusion, several need early or late fusion; received {fusion}"
        )
    if fusion == "late" and (not HEADS[head].sums or len(dataset.outputs) > 1):
        raise ValueError(
            f"late fusion averages scores of one output by the heads {_SUMMING}; "
            f"received {head} with {len(dataset.outputs)} outputs"
        )
