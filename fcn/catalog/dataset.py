"""What one dataset is to a net: data layers, image blobs, outputs."""

from __future__ import annotations

import os
from collections import OrderedDict, namedtuple
from typing import Any

__all__ = ["IGNORE", "DataLayer", "Dataset", "Input", "Output", "data", "dataset"]

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
#: of train and val are called; val_images: how many val has.
#: description: names, palette and so on where a dataset.json says them; None: data/ does.
_Dataset = namedtuple(
    "_Dataset",
    "name outputs deploy_size folders train val inputs files val_images description",
    defaults=(None,),
)


class Dataset(_Dataset):
    """One dataset as a net sees it."""

    __slots__ = ()

    @property
    def classes(self) -> int:
        """How many classes the first output has."""
        return self.outputs[0].classes

    @property
    def photo(self) -> bool:
        """Whether a photo is all that a net reads."""
        # HHA has three channels as a photo has: only what the data layer serves tells them apart.
        return len(self.inputs) == 1 and self.inputs[0].channels == 3 and self.reads == ["color"]

    @property
    def reads(self) -> list[str]:
        """The kinds of images that the data layer serves."""
        tops = self.val.params.get("tops", ("color",))
        return [top for top in tops if top != "label"]

    @property
    def label(self) -> str:
        """The name, as a part of experiments' names: that of the folder of a dataset.json."""
        if self.name.endswith(".json"):
            return os.path.basename(os.path.dirname(os.path.abspath(self.name)))
        return self.name


#: The label value of pixels that have no class, in every dataset.
IGNORE = 255


def data(module: str, layer: str, *params: Any) -> DataLayer:
    """A data layer, its parameters in order."""
    return DataLayer(module, layer, OrderedDict(params))


def dataset(
    name: str,
    classes: int,
    deploy_size: tuple[int, int],
    folders: Any,
    train: DataLayer,
    val: DataLayer,
    mean: tuple[float, ...],
    val_images: int,
    **more: Any,
) -> Dataset:
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
        val_images=val_images,
    )
    return Dataset(**dict(fields, **more))
