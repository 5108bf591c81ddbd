"""The datasets: their data layers, classes and folders."""

from collections import OrderedDict, namedtuple

#: One data layer: `param_str` is `params` written as a dict.
DataLayer = namedtuple("DataLayer", "module layer params")

#: What a net predicts from one kind of label. suffix: of the names of its score layers; label: the
#: data layer's top; names: of its classes, an attribute of the dataset's module in data/.
Output = namedtuple("Output", "suffix label classes loss names")

#: An image blob: its name, its channels, and the mean that was subtracted, in the blob's order.
Input = namedtuple("Input", "blob channels mean")

#: name: of the module in data/; outputs: first the one whose classes are scored as the dataset's;
#: inputs: the image blobs; deploy_size: H×W of the deploy net until it is reshaped; folders: the
#: keys in `params` that are folders, in the order of `solve.py --data`; files: what the prototxts
#: of train and val are called.
_Dataset = namedtuple("Dataset", "name outputs deploy_size folders train val inputs files")


class Dataset(_Dataset):
    """One dataset as a net sees it."""

    __slots__ = ()

    @property
    def classes(self):
        """How many classes the first output has."""
        return self.outputs[0].classes


#: The label value of pixels that have no class, in every dataset.
IGNORE = 255


def _data(module, layer, *params):
    return DataLayer(module, layer, OrderedDict(params))


def _dataset(name, classes, deploy_size, folders, train, val, mean, **more):
    """A dataset of one colour image and one label, unless `more` says otherwise."""
    fields = dict(
        name=name,
        outputs=(Output("", "label", classes, "loss", "CLASSES"),),
        deploy_size=deploy_size,
        folders=folders,
        train=train,
        val=val,
        inputs=(Input("data", 3, mean),),
        files=("train", "val"),
    )
    return Dataset(**dict(fields, **more))


SEED = ("seed", 1337)

# ---- PASCAL VOC and SBD --------------------------------------------------------------------------

#: Mean of the ILSVRC images in BGR, 0–255, to the decimals of the published prototxts.
ILSVRC_MEAN = (104.00699, 116.66877, 122.67892)

VOC = _dataset(
    "voc",
    classes=21,
    deploy_size=(500, 500),
    folders=("sbdd_dir", "voc_dir"),
    train=_data("voc_layers", "SBDDSegDataLayer", ("sbdd_dir", "data/sbdd/dataset"), SEED,
                ("split", "train"), ("mean", ILSVRC_MEAN)),
    val=_data("voc_layers", "VOCSegDataLayer", ("voc_dir", "data/pascal/VOC2011"), SEED,
              ("split", "seg11valid"), ("mean", ILSVRC_MEAN)),
    mean=ILSVRC_MEAN,
)

# ---- PASCAL-Context ------------------------------------------------------------------------------


def _context(split):
    return _data("pascalcontext_layers", "PASCALContextSegDataLayer",
                 ("context_dir", "data/pascal-context"), SEED, ("split", split),
                 ("voc_dir", "data/pascal"))


#: Background is a class that is trained and scored; no pixel is left out.
PASCALCONTEXT = _dataset(
    "pascalcontext",
    classes=60,
    deploy_size=(500, 500),
    folders=("context_dir", "voc_dir"),
    train=_context("train"),
    val=_context("val"),
    mean=(104.007, 116.669, 122.679),
)

# ---- SIFT Flow -----------------------------------------------------------------------------------


def _siftflow(split):
    return _data("siftflow_layers", "SIFTFlowSegDataLayer", ("siftflow_dir", "data/sift-flow"),
                 SEED, ("split", split))


#: Two kinds of labels, two heads: what a thing is, and how its surface lies. The first head's loss
#: is called `loss`, because the published scorer reads that name.
SIFTFLOW = _dataset(
    "siftflow",
    classes=33,
    deploy_size=(256, 256),
    folders=("siftflow_dir",),
    train=_siftflow("trainval"),
    val=_siftflow("test"),
    mean=(114.578, 115.294, 108.353),
    outputs=(Output("_sem", "sem", 33, "loss", "CLASSES"),
             Output("_geo", "geo", 3, "loss_geo", "GEOMETRIC_CLASSES")),
    files=("trainval", "test"),
)

# ---- NYUDv2 --------------------------------------------------------------------------------------

#: Means of the published layer: colour as it stands there (its order looks like RGB, but the
#: weights were trained with it), HHA in file order, depth after the natural logarithm.
NYUD_INPUTS = {
    "color": Input("color", 3, (116.190, 97.203, 92.318)),
    "hha": Input("hha", 3, (132.431, 94.076, 118.477)),
    "depth": Input("depth", 1, (7.844,)),
}


def _nyud(*modalities):
    """NYUDv2 through some of its modalities; one alone is the blob `data`."""

    def layer(split):
        return _data("nyud_layers", "NYUDSegDataLayer", ("tops", [*modalities, "label"]), SEED,
                     ("nyud_dir", "data/nyud"), ("split", split))

    inputs = tuple(NYUD_INPUTS[name] for name in modalities)
    if len(inputs) == 1:
        inputs = (inputs[0]._replace(blob="data"),)
    return _dataset("nyud", classes=40, deploy_size=(425, 560), folders=("nyud_dir",),
                    train=layer("trainval"), val=layer("test"), mean=inputs[0].mean,
                    inputs=inputs, files=("trainval", "test"))


NYUD_COLOR = _nyud("color")
NYUD_HHA = _nyud("hha")
NYUD_COLOR_DEPTH = _nyud("color", "depth")
NYUD_COLOR_HHA = _nyud("color", "hha")

# ---- CamVid --------------------------------------------------------------------------------------

#: Mean of the CamVid training images, BGR.
CAMVID_MEAN = (107.0, 108.0, 104.0)


def _camvid(split, *more):
    return _data("camvid_layers", "CamVidSegDataLayer", ("camvid_dir", "data/camvid"), SEED,
                 ("split", split), ("mean", CAMVID_MEAN), ("cache", True), *more)


CAMVID = _dataset(
    "camvid",
    classes=11,
    deploy_size=(360, 480),
    folders=("camvid_dir",),
    train=_camvid("train", ("batch_size", 8), ("mirror", True), ("scale", (0.6, 1.5)),
                  ("crop", (240, 320))),
    val=_camvid("val"),
    mean=CAMVID_MEAN,
)

#: The last stage alone can tell small things: it sees all classes as often, and in more light.
CAMVID_FINE = CAMVID._replace(
    train=_data(CAMVID.train.module, CAMVID.train.layer, *CAMVID.train.params.items(),
                ("balance", 0.5), ("light", 0.2)))

# ---- generated pictures --------------------------------------------------------------------------

TOY_CLASSES = 5


def _toy(split, *more):
    return _data("voc_layers", "VOCSegDataLayer", ("voc_dir", "data/toy"), SEED, ("split", split),
                 ("mean", ILSVRC_MEAN), ("classes", TOY_CLASSES), ("cache", True), *more)


TOY = _dataset(
    "toy",
    classes=TOY_CLASSES,
    deploy_size=(120, 160),
    folders=("voc_dir",),
    train=_toy("train", ("batch_size", 4)),
    val=_toy("val"),
    mean=ILSVRC_MEAN,
)
