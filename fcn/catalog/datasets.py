"""The datasets: their data layers, classes and folders."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from fcn.catalog.dataset import DataLayer, Dataset, Input, Output, data, dataset
from segdata import means

if TYPE_CHECKING:
    from fcn.catalog.description import Description

SEED = ("seed", 1337)

# ---- PASCAL VOC and SBD --------------------------------------------------------------------------

VOC = dataset(
    "voc",
    classes=21,
    deploy_size=(500, 500),
    folders=("sbdd_dir", "voc_dir"),
    train=data(
        "voc_layers",
        "SBDDSegDataLayer",
        ("sbdd_dir", "data/sbdd/dataset"),
        SEED,
        ("split", "train"),
        ("mean", means.ILSVRC),
    ),
    val=data(
        "voc_layers",
        "VOCSegDataLayer",
        ("voc_dir", "data/pascal/VOC2011"),
        SEED,
        ("split", "seg11valid"),
        ("mean", means.ILSVRC),
    ),
    mean=means.ILSVRC,
    val_images=736,
)


#: How a small set is made to last: any size, side, place and light.
_VARIED = (
    ("mirror", True),
    ("scale", (0.5, 2.0)),
    ("crop", (385, 385)),
    ("light", 0.25),
    ("color", 0.25),
    ("cache", True),
    ("workers", 2),
)


def _voc(split: str, *more: tuple[str, Any]) -> DataLayer:
    return data(
        "voc_layers",
        "VOCSegDataLayer",
        ("voc_dir", "data/pascal/VOC2012"),
        SEED,
        ("split", split),
        ("mean", means.EFFICIENTNET),
        *more,
    )


#: VOC 2012 alone, whose masks are exact up to the border; crops are one more than twelve steps of
#: 32, so that values of all strides lie on both edges.
VOC_CROPS = dataset(
    "voc",
    classes=21,
    deploy_size=(500, 500),
    folders=("voc_dir",),
    train=_voc("train", ("batch_size", 16), *_VARIED),
    val=_voc("val"),
    mean=means.EFFICIENTNET,
    val_images=1449,
)

#: Smaller batches and crops, which a CPU has time for.
VOC_FEW = VOC_CROPS._replace(
    train=_voc(
        "train",
        ("batch_size", 4),
        *dict(_VARIED, scale=(0.5, 1.6), crop=(321, 321), workers=1).items(),
    )
)

# ---- PASCAL-Context ------------------------------------------------------------------------------


def _context(split: str) -> DataLayer:
    return data(
        "pascalcontext_layers",
        "PASCALContextSegDataLayer",
        ("context_dir", "data/pascal-context"),
        SEED,
        ("split", split),
        ("voc_dir", "data/pascal"),
    )


#: Background is a class that is trained and scored; no pixel is left out.
PASCALCONTEXT = dataset(
    "pascalcontext",
    classes=60,
    deploy_size=(500, 500),
    folders=("context_dir", "voc_dir"),
    train=_context("train"),
    val=_context("val"),
    mean=means.PASCALCONTEXT,
    val_images=5105,
)

# ---- SIFT Flow -----------------------------------------------------------------------------------


def _siftflow(split: str) -> DataLayer:
    return data(
        "siftflow_layers",
        "SIFTFlowSegDataLayer",
        ("siftflow_dir", "data/sift-flow"),
        SEED,
        ("split", split),
    )


#: Two kinds of labels, two heads: what a thing is, and how its surface lies. The first head's loss
#: is called `loss`, because the published scorer reads that name.
SIFTFLOW = dataset(
    "siftflow",
    classes=33,
    deploy_size=(256, 256),
    folders=("siftflow_dir",),
    train=_siftflow("trainval"),
    val=_siftflow("test"),
    mean=means.SIFTFLOW,
    val_images=200,
    outputs=(
        Output("_sem", "sem", 33, "loss", "CLASSES"),
        Output("_geo", "geo", 3, "loss_geo", "GEOMETRIC_CLASSES"),
    ),
    files=("trainval", "test"),
)

# ---- NYUDv2 --------------------------------------------------------------------------------------

NYUD_INPUTS = {
    "color": Input("color", 3, means.NYUD_COLOR),
    "hha": Input("hha", 3, means.NYUD_HHA),
    "depth": Input("depth", 1, (means.NYUD_LOG_DEPTH,)),
}


def _nyud(*modalities: str) -> Dataset:
    """NYUDv2 through some of its modalities; one alone is the blob `data`."""

    def layer(split: str) -> DataLayer:
        return data(
            "nyud_layers",
            "NYUDSegDataLayer",
            ("tops", [*modalities, "label"]),
            SEED,
            ("nyud_dir", "data/nyud"),
            ("split", split),
        )

    inputs = tuple(NYUD_INPUTS[name] for name in modalities)
    if len(inputs) == 1:
        inputs = (inputs[0]._replace(blob="data"),)
    return dataset(
        "nyud",
        classes=40,
        deploy_size=(425, 560),
        folders=("nyud_dir",),
        train=layer("trainval"),
        val=layer("test"),
        mean=inputs[0].mean,
        inputs=inputs,
        files=("trainval", "test"),
        val_images=654,
    )


NYUD_COLOR = _nyud("color")
NYUD_HHA = _nyud("hha")
NYUD_COLOR_DEPTH = _nyud("color", "depth")
NYUD_COLOR_HHA = _nyud("color", "hha")

# ---- CamVid --------------------------------------------------------------------------------------


def _camvid(split: str, *more: tuple[str, Any]) -> DataLayer:
    return data(
        "camvid_layers",
        "CamVidSegDataLayer",
        ("camvid_dir", "data/camvid"),
        SEED,
        ("split", split),
        ("mean", means.CAMVID),
        ("cache", True),
        *more,
    )


CAMVID = dataset(
    "camvid",
    classes=11,
    deploy_size=(360, 480),
    folders=("camvid_dir",),
    train=_camvid(
        "train", ("batch_size", 8), ("mirror", True), ("scale", (0.6, 1.5)), ("crop", (240, 320))
    ),
    val=_camvid("val"),
    mean=means.CAMVID,
    val_images=101,
)

#: The last stage alone can tell small things: it sees all classes as often, and in more light.
CAMVID_FINE = CAMVID._replace(
    train=data(
        CAMVID.train.module,
        CAMVID.train.layer,
        *CAMVID.train.params.items(),
        ("balance", 0.5),
        ("light", 0.2),
    )
)

#: The same for a trunk that was trained on ILSVRC: larger crops, more light, half of them balanced.
CAMVID_LITE = CAMVID._replace(
    train=data(
        CAMVID.train.module,
        CAMVID.train.layer,
        *dict(
            CAMVID.train.params,
            mean=means.EFFICIENTNET,
            batch_size=16,
            scale=(0.6, 1.6),
            crop=(353, 353),
            balance=0.5,
            light=0.25,
            color=0.25,
            workers=2,
        ).items(),
    ),
    val=data(
        CAMVID.val.module,
        CAMVID.val.layer,
        *dict(CAMVID.val.params, mean=means.EFFICIENTNET).items(),
    ),
    inputs=(Input("data", 3, means.EFFICIENTNET),),
)

# ---- generated pictures --------------------------------------------------------------------------

TOY_CLASSES = 5


def _toy(split: str, *more: tuple[str, Any]) -> DataLayer:
    return data(
        "voc_layers",
        "VOCSegDataLayer",
        ("voc_dir", "data/toy"),
        SEED,
        ("split", split),
        ("mean", means.ILSVRC),
        ("classes", TOY_CLASSES),
        ("cache", True),
        *more,
    )


TOY = dataset(
    "toy",
    classes=TOY_CLASSES,
    deploy_size=(120, 160),
    folders=("voc_dir",),
    train=_toy("train", ("batch_size", 4)),
    val=_toy("val"),
    mean=means.ILSVRC,
    val_images=40,
)

# ---- membranes of cells --------------------------------------------------------------------------


def _folder(
    root: str, split: str, classes: int, mean: tuple[float, ...], *more: tuple[str, Any]
) -> DataLayer:
    return data(
        "folder_layers",
        "FolderSegDataLayer",
        ("root", root),
        SEED,
        ("split", split),
        ("mean", mean),
        ("classes", classes),
        *more,
    )


def _membrane(split: str, *more: tuple[str, Any]) -> DataLayer:
    return _folder("data/membrane", split, 2, means.MEMBRANE, ("cache", True), *more)


MEMBRANE = dataset(
    "membrane",
    classes=2,
    deploy_size=(512, 512),
    folders=("root",),
    train=_membrane(
        "train", ("mirror", True), ("scale", (0.8, 1.25)), ("crop", (256, 256)), ("light", 0.1)
    ),
    val=_membrane("val"),
    mean=means.MEMBRANE,
    val_images=5,
)

# ---- datasets by name ----------------------------------------------------------------------------

NAMED = OrderedDict(
    (dataset.name, dataset)
    for dataset in (VOC, PASCALCONTEXT, SIFTFLOW, NYUD_COLOR, CAMVID, MEMBRANE, TOY)
)

#: What several trunks can read at once, of datasets that have it.
STREAMS = {"nyud": NYUD_COLOR_HHA}


def named(
    name: str, classes: int | None = None, two_stream: bool = False
) -> tuple[Dataset, str | None]:
    """(Dataset, its fusion): one of NAMED, a dataset.json of data/folder.py, or, without a name,
    any folder with so many classes.

    ValueError, LookupError or OSError says what is wrong.
    """
    if two_stream:
        if name not in STREAMS:
            raise ValueError(
                f"two streams need a dataset of two image blobs: {', '.join(STREAMS)}"
                f"; received {name or f'a folder of {classes} classes'}"
            )
        return STREAMS[name], "late"
    if name is None:
        return of_classes(classes), None
    if name.endswith(".json"):
        return described(name), None
    if name not in NAMED:
        raise LookupError(
            f"no dataset {name!r}; there are {', '.join(NAMED)}, and any "
            "dataset.json that data/folder.py made"
        )
    return NAMED[name], None


def of_classes(classes: int, root: str = "data/mine") -> Dataset:
    """A folder with images/, labels/, train.txt and val.txt, which `solve.py --data` names.

    Its mean is that of ILSVRC, which the trained trunks are used to.
    """
    split = [_folder(root, split, classes, means.ILSVRC) for split in ("train", "val")]
    return dataset(
        "folder",
        classes=classes,
        deploy_size=(500, 500),
        folders=("root",),
        train=split[0],
        val=split[1],
        mean=means.ILSVRC,
        val_images=100,
    )


def described(path: str) -> Dataset:
    """The dataset of a dataset.json; the JSON's path is its name (see data.dataset)."""
    from fcn.catalog.description import read_description

    return of_description(path, read_description(path))


def of_description(path: str, found: Description) -> Dataset:
    """The dataset that a Description says; path: of the dataset.json that it is from."""
    layer = found.layer
    train, val = (
        data(layer["module"], layer["layer"], *_literal(layer[split]).items())
        for split in ("train", "val")
    )
    return dataset(
        path,
        classes=len(found.CLASSES),
        deploy_size=(found.size[0], found.size[1]),
        folders=("root",),
        train=train,
        val=val,
        mean=tuple(found.mean),
        val_images=found.images["val"],
        description=found,
    )


def _literal(params: Any) -> OrderedDict[str, Any]:
    """A dict from JSON as a param_str has it: tuples in place of lists."""
    return OrderedDict(
        (key, tuple(value) if isinstance(value, list) else value) for key, value in params.items()
    )
