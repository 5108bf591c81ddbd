"""The small datasets of the experiments: generated pictures, and CamVid at a quarter of its size.

The rows of fcn/catalog are told to read them by `read`, so that every experiment uses the nets and
data layers of the repository.
"""

import os
from collections import OrderedDict, namedtuple

import numpy as np
from PIL import Image

from data import toy
from fcn import catalog
from fcn.catalog import datasets
from segdata.camvid import list_camvid, read_camvid_label
from segdata.images import open_image, read_label

__all__ = ["Small", "camvid_labels", "generated", "generated_labels", "shrunk_camvid"]

#: dataset: as in fcn/catalog, with paths; images: how many val has.
Small = namedtuple("Small", "dataset images")


def generated(out, quick, size=(96, 96), train=200, val=40):
    """The toy pictures, written to <out>/toy. size: (width, height)."""
    folder = os.path.join(out, "toy")
    if quick:
        size, train, val = (64, 48), 4, 2
    if not _done(folder, train, val, size):
        toy.generate(folder, train, val, size, 0)
        _mark(folder, train, val, size)
    return Small(_placed(catalog.experiment("toy-fcn32s").dataset, "voc_dir", folder), val)


def shrunk_camvid(source, out, quick, size=(128, 96)):
    """CamVid with its images at `size` (width, height), written to <out>/camvid.

    Images are averaged; a label is that at the pixel's centre.
    """
    folder = os.path.join(out, "camvid")
    if quick:
        size = (64, 48)
    counts = [
        _shrink(source, folder, split, size, 4 if quick else None) for split in ("train", "val")
    ]
    row = catalog.experiment("camvid-fcn32s").dataset
    plain = OrderedDict(
        (key, value)
        for key, value in row.train.params.items()
        if key not in ("mirror", "scale", "crop")
    )
    row = row._replace(train=row.train._replace(params=plain), deploy_size=size[::-1])
    return Small(_placed(row, "camvid_dir", folder), counts[1])


def camvid_labels(source, quick):
    """CamVid's label maps of val in full size, uint8 (360, 480), ignored pixels 255."""
    pairs = list_camvid(source, "val")
    return [read_camvid_label(label) for _, label in (pairs[:2] if quick else pairs)]


def generated_labels(out, quick):
    """The label maps of generated pictures of PASCAL VOC's usual size, uint8 (375, 500)."""
    folder = os.path.join(out, "toy-large")
    count, size = (2, (80, 60)) if quick else (40, (500, 375))
    toy.generate(folder, 1, count, size, 0)
    return [
        read_label(os.path.join(folder, "SegmentationClass", f"toy_val_{i:04d}.png"))
        for i in range(count)
    ]


def _placed(dataset, key, folder):
    """The dataset in another folder."""

    def moved(source):
        params = OrderedDict(source.params)
        params[key] = folder
        return datasets.DataLayer(source.module, source.layer, params)

    return dataset._replace(train=moved(dataset.train), val=moved(dataset.val))


def _shrink(source, folder, split, size, most):
    """Write one split; returns how many images it has."""
    pairs = list_camvid(source, split)[:most]
    names = [os.path.splitext(os.path.basename(image))[0] for image, _ in pairs]
    if not _done(os.path.join(folder, split), len(pairs), size):
        for part in (split, split + "annot"):
            os.makedirs(os.path.join(folder, part), exist_ok=True)
        for name, (image, label) in zip(names, pairs):
            with open_image(image) as picture:
                small = picture.convert("RGB").resize(size, Image.BOX)
            small.save(os.path.join(folder, split, name + ".png"))
            classes = Image.fromarray(np.asarray(read_label(label), np.uint8))
            classes.resize(size, Image.NEAREST).save(
                os.path.join(folder, split + "annot", name + ".png")
            )
        with open(os.path.join(folder, split + ".txt"), "w", encoding="utf-8") as f:
            f.write("".join(name + "\n" for name in names))
        _mark(os.path.join(folder, split), len(pairs), size)
    return len(pairs)


def _done(folder, *made):
    """Whether a folder holds just this, of an earlier experiment."""
    try:
        with open(os.path.join(folder, "made.txt"), encoding="utf-8") as f:
            return f.read() == repr(made)
    except OSError:
        return False


def _mark(folder, *made):
    with open(os.path.join(folder, "made.txt"), "w", encoding="utf-8") as f:
        f.write(repr(made))
