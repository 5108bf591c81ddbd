"""The table of experiments: dataset × backbone × streams × initial weights × solver.

One row gives one folder in `nets/` and one solver in `solvers/`; `python nets/make.py` writes both.
All paths are relative to the repository root. Nothing here imports `caffe`.
"""

from collections import OrderedDict, namedtuple

from nets.catalog import datasets as d
from nets.catalog.datasets import IGNORE
from nets.catalog.initial import ALEXNET, PUBLISHED, VGG16, stage
from nets.catalog.schedules import minibatch, poly, reference

__all__ = ["EXPERIMENTS", "IGNORE", "PUBLISHED", "Experiment", "experiment", "net_path",
           "solver_path"]

#: init: Sources (see nets/catalog/initial.py), empty: from the fillers. fusion: how several image
#: blobs become one score: None (there is one), "early" (one trunk over all channels), "late" (a
#: trunk each, scores averaged). normalize: whether the loss is divided by the number of labelled
#: pixels; None: as the backbone's published nets have it.
Experiment = namedtuple(
    "Experiment", "name dataset backbone streams init schedule fusion normalize",
    defaults=(None, None))

_CONTEXT = dict(test_iter=5105, steps=400000, every=8000, max_iter=300000)
_SIFTFLOW = dict(test_iter=200, every=2000, snapshot=None, max_iter=300000)
_NYUD = dict(test_iter=654, every=2000, snapshot=2000, max_iter=300000)

_ROWS = (
    # PASCAL VOC: the published nets.
    ("voc-fcn32s", d.VOC, "vgg16", "32s", VGG16, reference(1e-10)),
    ("voc-fcn16s", d.VOC, "vgg16", "16s", stage("voc-fcn32s"), reference(1e-12)),
    ("voc-fcn8s", d.VOC, "vgg16", "8s", stage("voc-fcn16s"), reference(1e-14)),
    ("voc-fcn8s-atonce", d.VOC, "vgg16", "8s-atonce", VGG16, reference(1e-10, steps=300000)),
    ("voc-fcn-alexnet", d.VOC, "alexnet", "32s", ALEXNET, minibatch(1e-4)),
    # PASCAL-Context.
    ("pascalcontext-fcn32s", d.PASCALCONTEXT, "vgg16", "32s", VGG16,
     reference(1e-10, **_CONTEXT)),
    ("pascalcontext-fcn16s", d.PASCALCONTEXT, "vgg16", "16s", stage("pascalcontext-fcn32s"),
     reference(1e-12, **_CONTEXT)),
    ("pascalcontext-fcn8s", d.PASCALCONTEXT, "vgg16", "8s", stage("pascalcontext-fcn16s"),
     reference(1e-14, **_CONTEXT)),
    # SIFT Flow: two heads. The last stage keeps the rate of the one before, as published.
    ("siftflow-fcn32s", d.SIFTFLOW, "vgg16", "32s", VGG16, reference(1e-10, **_SIFTFLOW)),
    ("siftflow-fcn16s", d.SIFTFLOW, "vgg16", "16s", stage("siftflow-fcn32s"),
     reference(1e-12, **_SIFTFLOW)),
    ("siftflow-fcn8s", d.SIFTFLOW, "vgg16", "8s", stage("siftflow-fcn16s"),
     reference(1e-12, **_SIFTFLOW)),
    # NYUDv2: one modality, early fusion, late fusion.
    ("nyud-fcn32s-color", d.NYUD_COLOR, "vgg16", "32s", VGG16, reference(1e-10, **_NYUD)),
    ("nyud-fcn32s-hha", d.NYUD_HHA, "vgg16", "32s", VGG16, reference(1e-10, **_NYUD)),
    ("nyud-fcn32s-color-d", d.NYUD_COLOR_DEPTH, "vgg16", "32s", VGG16,
     reference(1e-10, **_NYUD), "early"),
    ("nyud-fcn32s-color-hha", d.NYUD_COLOR_HHA, "vgg16", "32s",
     stage("nyud-fcn32s-color", "color") + stage("nyud-fcn32s-hha", "hha"),
     reference(1e-12, **_NYUD), "late"),
    ("nyud-fcn16s-color-hha", d.NYUD_COLOR_HHA, "vgg16", "16s", stage("nyud-fcn32s-color-hha"),
     reference(1e-14, **_NYUD), "late"),
    # CamVid, from scratch.
    ("camvid-fcn32s", d.CAMVID, "camvid", "32s", (), poly(2400, 0.05, 800, 101)),
    ("camvid-fcn16s", d.CAMVID, "camvid", "16s", stage("camvid-fcn32s"), poly(800, 0.03, 400, 101)),
    ("camvid-fcn8s", d.CAMVID_FINE, "camvid", "8s", stage("camvid-fcn16s"),
     poly(2400, 0.04, 800, 101)),
    # Generated pictures, from scratch.
    ("toy-fcn32s", d.TOY, "toy", "32s", (), poly(600, 0.05, 300, 40)),
    ("toy-fcn16s", d.TOY, "toy", "16s", stage("toy-fcn32s"), poly(200, 0.02, 200, 40)),
    ("toy-fcn8s", d.TOY, "toy", "8s", stage("toy-fcn16s"), poly(300, 0.02, 300, 40)),
)

EXPERIMENTS = OrderedDict((row[0], Experiment(*row)) for row in _ROWS)


def experiment(name):
    """One row of the table; LookupError names the known ones."""
    if name not in EXPERIMENTS:
        known = ", ".join(EXPERIMENTS)
        raise LookupError(f"no experiment {name!r} in nets/catalog; there are {known}")
    return EXPERIMENTS[name]


def net_path(name, phase):
    """nets/<experiment>/<file>.prototxt; the phase is "train", "val" or "deploy".

    The files of train and val are called as the dataset's splits are: trainval and test for some.
    """
    files = dict(zip(("train", "val"), EXPERIMENTS[name].dataset.files))
    return f"nets/{name}/{files.get(phase, phase)}.prototxt"


def solver_path(name):
    """solvers/<experiment>.prototxt"""
    return f"solvers/{name}.prototxt"
