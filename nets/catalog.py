"""The table of experiments: dataset × backbone × streams × initial weights × solver.

One row gives one folder in `nets/` and one solver in `solvers/`; `python nets/make.py` writes both.
All paths are relative to the repository root. Nothing here imports `caffe`.
"""

from collections import OrderedDict, namedtuple

#: One data layer: `param_str` is `params` written as a dict.
DataLayer = namedtuple("DataLayer", "module layer params")

#: classes: what is scored, and the channels of every score; deploy_size: H×W of the deploy net
#: until it is reshaped; folders: the keys in `params` that are folders, in the order of `solve.py
#: --data`.
Dataset = namedtuple("Dataset", "name classes deploy_size folders train val")

#: The label value of pixels that have no class, in every dataset.
IGNORE = 255

#: steps: iterations in all; score_every: iterations between two scorings of val; fields: what the
#: solver prototxt says, in order.
Schedule = namedtuple("Schedule", "steps score_every fields")

#: init: the files to start from as (path, where it comes from), best first; empty: from the
#: fillers. "{out}" is the folder of results.
Experiment = namedtuple("Experiment", "name dataset backbone streams init schedule")


def _data(module, layer, *params):
    return DataLayer(module, layer, OrderedDict(params))


# ---- datasets ------------------------------------------------------------------------------------

#: Mean of the ILSVRC images in BGR, 0–255, to the decimals of the published prototxts.
ILSVRC_MEAN = ("mean", (104.00699, 116.66877, 122.67892))
SEED = ("seed", 1337)

VOC = Dataset(
    name="voc",
    classes=21,
    deploy_size=(500, 500),
    folders=("sbdd_dir", "voc_dir"),
    train=_data(
        "voc_layers",
        "SBDDSegDataLayer",
        ("sbdd_dir", "data/sbdd/dataset"),
        SEED,
        ("split", "train"),
        ILSVRC_MEAN,
    ),
    val=_data(
        "voc_layers",
        "VOCSegDataLayer",
        ("voc_dir", "data/pascal/VOC2011"),
        SEED,
        ("split", "seg11valid"),
        ILSVRC_MEAN,
    ),
)

#: Mean of the CamVid training images, BGR.
CAMVID_MEAN = ("mean", (107.0, 108.0, 104.0))

CAMVID = Dataset(
    name="camvid",
    classes=11,
    deploy_size=(360, 480),
    folders=("camvid_dir",),
    train=_data(
        "camvid_layers",
        "CamVidSegDataLayer",
        ("camvid_dir", "data/camvid"),
        SEED,
        ("split", "train"),
        CAMVID_MEAN,
        ("cache", True),
        ("batch_size", 8),
        ("mirror", True),
        ("scale", (0.6, 1.5)),
        ("crop", (240, 320)),
    ),
    val=_data(
        "camvid_layers",
        "CamVidSegDataLayer",
        ("camvid_dir", "data/camvid"),
        SEED,
        ("split", "val"),
        CAMVID_MEAN,
        ("cache", True),
    ),
)

#: The last stage alone can tell small things: it sees all classes as often, and in more light.
CAMVID_FINE = CAMVID._replace(
    train=_data(
        CAMVID.train.module,
        CAMVID.train.layer,
        *CAMVID.train.params.items(),
        ("balance", 0.5),
        ("light", 0.2),
    )
)

TOY_CLASSES = 5

TOY = Dataset(
    name="toy",
    classes=TOY_CLASSES,
    deploy_size=(120, 160),
    folders=("voc_dir",),
    train=_data(
        "voc_layers",
        "VOCSegDataLayer",
        ("voc_dir", "data/toy"),
        SEED,
        ("split", "train"),
        ILSVRC_MEAN,
        ("classes", TOY_CLASSES),
        ("cache", True),
        ("batch_size", 4),
    ),
    val=_data(
        "voc_layers",
        "VOCSegDataLayer",
        ("voc_dir", "data/toy"),
        SEED,
        ("split", "val"),
        ILSVRC_MEAN,
        ("classes", TOY_CLASSES),
        ("cache", True),
    ),
)

# ---- solvers -------------------------------------------------------------------------------------

#: The solvers never test by themselves: `solvers/loop.py` scores.
NEVER = 999999999


def _reference(base_lr, momentum=0.99, iter_size=1, max_iter=100000, steps=100000):
    """The solver of the published VOC nets; their loss sums 10⁵ pixels, hence the rates."""
    fields = (
        ("test_iter", 736),
        ("test_interval", NEVER),
        ("display", 20),
        ("average_loss", 20),
        ("lr_policy", "fixed"),
        ("base_lr", base_lr),
        ("momentum", momentum),
        ("iter_size", iter_size),
        ("max_iter", max_iter),
        ("weight_decay", 0.0005),
        ("snapshot", 4000),
        ("test_initialization", False),
    )
    return Schedule(steps, 4000, fields)


def _poly(steps, base_lr, score_every, test_iter, weight_decay=0.0005):
    """Normalised loss, momentum 0.9, and a rate that falls to zero at the last step."""
    fields = (
        ("test_iter", test_iter),
        ("test_interval", NEVER),
        ("display", 20),
        ("average_loss", 20),
        ("lr_policy", "poly"),
        ("power", 0.9),
        ("base_lr", base_lr),
        ("momentum", 0.9),
        ("iter_size", 1),
        ("max_iter", steps),
        ("weight_decay", weight_decay),
        ("snapshot", score_every),
        ("test_initialization", False),
    )
    return Schedule(steps, score_every, fields)


# ---- initial weights -----------------------------------------------------------------------------

#: The classifier of the ILSVRC nets may be inner products (as published) or already convolutions.
VGG16 = (
    ("ilsvrc-nets/vgg16-fcn.caffemodel", "VGG-16 with fc6 and fc7 as convolutions"),
    ("ilsvrc-nets/VGG_ILSVRC_16_layers.caffemodel", "VGG-16 as its authors published it"),
)
ALEXNET = (
    ("ilsvrc-nets/alexnet-fcn.caffemodel", "CaffeNet with fc6 and fc7 as convolutions"),
    ("ilsvrc-nets/bvlc_reference_caffenet.caffemodel", "CaffeNet as BVLC published it"),
)


#: What the authors of the published nets call their files; a user puts them next to the net.
PUBLISHED = {
    "voc-fcn32s": "fcn32s-heavy-pascal.caffemodel",
    "voc-fcn16s": "fcn16s-heavy-pascal.caffemodel",
    "voc-fcn8s": "fcn8s-heavy-pascal.caffemodel",
    "voc-fcn8s-atonce": "fcn8s-atonce-pascal.caffemodel",
    "voc-fcn-alexnet": "fcn-alexnet-pascal.caffemodel",
}


def _stage(name):
    """The result of an earlier stage, ours or else the published one, next to its net."""
    ours = (f"{{out}}/{name}.caffemodel", f"made by python nets/{name}/solve.py")
    if name not in PUBLISHED:
        return (ours,)
    return ours, (f"nets/{name}/{PUBLISHED[name]}", f"the published {name}")


# ---- the table -----------------------------------------------------------------------------------

_ROWS = (
    ("voc-fcn32s", VOC, "vgg16", "32s", VGG16, _reference(1e-10)),
    (
        "voc-fcn16s",
        VOC,
        "vgg16",
        "16s",
        _stage("voc-fcn32s"),
        _reference(1e-12),
    ),
    (
        "voc-fcn8s",
        VOC,
        "vgg16",
        "8s",
        _stage("voc-fcn16s"),
        _reference(1e-14),
    ),
    (
        "voc-fcn8s-atonce",
        VOC,
        "vgg16",
        "8s-atonce",
        VGG16,
        _reference(1e-10, max_iter=300000, steps=300000),
    ),
    (
        "voc-fcn-alexnet",
        VOC,
        "alexnet",
        "32s",
        ALEXNET,
        _reference(1e-4, momentum=0.9, iter_size=20),
    ),
    ("camvid-fcn32s", CAMVID, "camvid", "32s", (), _poly(2400, 0.05, 800, 101)),
    (
        "camvid-fcn16s",
        CAMVID,
        "camvid",
        "16s",
        _stage("camvid-fcn32s"),
        _poly(800, 0.03, 400, 101),
    ),
    (
        "camvid-fcn8s",
        CAMVID_FINE,
        "camvid",
        "8s",
        _stage("camvid-fcn16s"),
        _poly(2400, 0.04, 800, 101),
    ),
    ("toy-fcn32s", TOY, "toy", "32s", (), _poly(600, 0.05, 300, 40)),
    ("toy-fcn16s", TOY, "toy", "16s", _stage("toy-fcn32s"), _poly(200, 0.02, 200, 40)),
    ("toy-fcn8s", TOY, "toy", "8s", _stage("toy-fcn16s"), _poly(300, 0.02, 300, 40)),
)

EXPERIMENTS = OrderedDict((row[0], Experiment(*row)) for row in _ROWS)


def experiment(name):
    """One row of the table; LookupError names the known ones."""
    if name not in EXPERIMENTS:
        known = ", ".join(EXPERIMENTS)
        raise LookupError(f"no experiment {name!r} in nets/catalog.py; there are {known}")
    return EXPERIMENTS[name]


def net_path(name, phase):
    """nets/<experiment>/<phase>.prototxt"""
    return f"nets/{name}/{phase}.prototxt"


def solver_path(name):
    """solvers/<experiment>.prototxt"""
    return f"solvers/{name}.prototxt"
