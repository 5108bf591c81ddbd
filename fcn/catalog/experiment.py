"""One experiment: which net learns what from which data, and where its files lie.

`plan` makes every one of them: the rows of the catalog and what `nets/make.py --backbone …` writes
into a folder. Nothing here imports `caffe`.
"""

from collections import OrderedDict, namedtuple

from fcn.catalog import schedules
from fcn.catalog.initial import ALEXNET, EFFICIENTNET, GOOGLENET, RESNET50, VGG16, VGG19, stage

#: stride: pixels of the image between two of the scores that are upsampled to it. init: Sources
#: (see fcn/catalog/initial.py), empty: from the fillers. head: see fcn/heads. at_once: all
#: streams are trained from the beginning, with finer ones scaled. fusion: how several image blobs
#: become one score: None (there is one), "early" (one trunk over all channels), "late" (a trunk
#: each, scores averaged). normalize: whether the loss is divided by the number of labelled pixels;
#: None: as the backbone's nets have it. fixed: the trunk does not learn. learned: all upsampling
#: but the last learns. folder: where its files are; None: nets/<name> and solvers/.
Experiment = namedtuple(
    "Experiment",
    "name dataset backbone stride init schedule head at_once fusion normalize fixed learned folder",
)

#: How nets on a backbone are usually trained. init: of a net at its coarsest stride; strides: that
#: its nets can have; recipe: "heavy", "minibatch", "poly" or "adam", see
#: `schedule_of`; rate: of it.
Usual = namedtuple("Usual", "init strides recipe rate")

_STRIDES = (32, 16, 8)
_FINER = (*_STRIDES, 4)
BACKBONES = OrderedDict(
    (
        ("vgg16", Usual(VGG16, _STRIDES, "heavy", 1e-10)),
        ("vgg19", Usual(VGG19, _STRIDES, "heavy", 1e-10)),
        ("alexnet", Usual(ALEXNET, _STRIDES, "minibatch", 1e-4)),
        ("googlenet", Usual(GOOGLENET, _STRIDES, "minibatch", 5e-5)),
        ("resnet50", Usual(RESNET50, _STRIDES, "minibatch", 1e-4)),
        *(
            (f"efficientnet-lite{i}{norm}", Usual(EFFICIENTNET[i], _FINER, "adam", 1e-3))
            for i in range(3)
            for norm in ("", "-frozen", "-learning")
        ),
        ("camvid", Usual((), _STRIDES, "poly", 0.05)),
        ("toy", Usual((), _STRIDES, "poly", 0.05)),
        ("unet", Usual((), (1,), "poly", 0.01)),
        ("unet-small", Usual((), (1,), "poly", 0.05)),
    )
)

#: The heads, and the rate of their usual recipe where layers of theirs start at random: too fast
#: for a trained trunk's heavy momentum, so these have the minibatch recipe. None: the backbone's.
HEADS = OrderedDict(
    (
        ("sum", None),
        ("light", 1e-3),
        ("concat", 1e-3),
        ("pyramid", 1e-3),
        ("fusion", 1e-3),
        ("unet", 1e-3),
    )
)

#: Steps of a net that starts from the fillers.
_POLY_STEPS = 10000


def plan(
    dataset,
    backbone,
    stride,
    name=None,
    head=None,
    at_once=False,
    fusion=None,
    init=None,
    schedule=None,
    normalize=None,
    fixed=False,
    learned=False,
    folder=None,
):
    """The Experiment of a backbone on a dataset; what is not said is what is usual for them.

    ValueError if they do not go together.
    """
    head = head or ("unet" if backbone.startswith("unet") else "sum")
    _check(dataset, backbone, stride, head, at_once, fusion)
    usual = BACKBONES[backbone]
    if name is None:
        name = name_of(dataset, backbone, stride, head, at_once, fusion)
    if init is None:
        init = usual.init
        if head == "sum" and not at_once and stride != usual.strides[0]:
            init = stage(
                name_of(dataset, backbone, 2 * stride, head, at_once, fusion),
                origin=f"a net like this one at stride {2 * stride}",
            )
    if normalize is None and HEADS[head] and usual.recipe == "heavy":
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
        folder,
    )


def name_of(dataset, backbone, stride, head="sum", at_once=False, fusion=None):
    """The usual name, such as nyud-fcn16s-vgg16-late."""
    parts = [f"{dataset.label}-fcn{stride}s"] + ["atonce"] * at_once + [backbone]
    parts += [head] * (head not in ("sum", backbone)) + [fusion] * bool(fusion)
    return "-".join(parts)


def schedule_of(dataset, backbone, stride, head, at_once):
    """The usual Schedule.

    "heavy": momentum 0.99 and the sum of all pixels' losses, hence a rate that falls a hundredfold
    with each stage; "minibatch": 20 images, momentum 0.9; "poly": from the fillers.
    """
    usual = BACKBONES[backbone]
    if usual.recipe == "poly":
        return schedules.poly(_POLY_STEPS, usual.rate, 1000, dataset.val_images)
    if usual.recipe == "adam":
        return schedules.adam(_POLY_STEPS, usual.rate, 1000, dataset.val_images)
    if HEADS[head]:
        return schedules.minibatch(HEADS[head], test_iter=dataset.val_images)
    if usual.recipe == "minibatch":
        return schedules.minibatch(usual.rate, test_iter=dataset.val_images)
    stages = 0 if at_once else _STRIDES.index(stride)
    return schedules.reference(
        float(f"{usual.rate * 100**-stages:.1g}"), test_iter=dataset.val_images
    )


def _check(dataset, backbone, stride, head, at_once, fusion):
    for what, value, known in (("backbone", backbone, BACKBONES), ("head", head, HEADS)):
        if value not in known:
            raise ValueError(f"no {what} {value!r}; there are {', '.join(known)}")
    strides = BACKBONES[backbone].strides
    if stride not in strides:
        raise ValueError(
            f"a net on {backbone} can have the strides "
            f"{', '.join(str(s) for s in strides)}; received {stride}"
        )
    if at_once and (head not in ("sum", "light") or stride == 32):
        raise ValueError(
            "at once goes with the heads sum and light at stride 16 or 8; received "
            f"{head} at stride {stride}"
        )
    inputs = [blob.blob for blob in dataset.inputs]
    if fusion not in (None, "early", "late") or (fusion is None) != (len(inputs) == 1):
        raise ValueError(
            f"{dataset.name} has the image blobs {', '.join(inputs)}: one needs no "
            f"fusion, several need early or late fusion; received {fusion}"
        )
    if fusion == "late" and (head not in ("sum", "light") or len(dataset.outputs) > 1):
        raise ValueError(
            "late fusion averages scores of one output by the heads sum and light; "
            f"received {head} with {len(dataset.outputs)} outputs"
        )
