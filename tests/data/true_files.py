"""Small files in the true formats of the datasets, and archives laid out as the official ones."""

import io
import os
import tarfile
import zipfile

import data_samples
import numpy as np
import scipy.io
from PIL import Image

from fcn.palette import save_label_png, voc_palette


def jpeg(path, height=12, width=16, seed=0):
    pixels = np.random.RandomState(seed).randint(0, 256, (height, width, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(str(path), "JPEG", quality=95)


def context_mat(path, label):
    scipy.io.savemat(str(path), {"LabelMap": label.astype(np.uint16)}, do_compression=True)


def voc_tree(folder, train=("2008_000001",), val=("2007_000033", "2008_000002"), main=False):
    """VOC<year>'s folders with images, palette PNGs and lists; main: ImageSets/Main too."""
    for name in (
        "Annotations",
        "JPEGImages",
        "SegmentationClass",
        "ImageSets/Segmentation",
        "ImageSets/Main",
    ):
        os.makedirs(str(folder / name))
    rng = np.random.RandomState(1)
    for i, name in enumerate(train + val):
        jpeg(folder / "JPEGImages" / (name + ".jpg"), seed=i)
        label = rng.choice(np.r_[:21, 255], (12, 16)).astype(np.uint8)
        save_label_png(str(folder / "SegmentationClass" / (name + ".png")), label, voc_palette())
    for split, names in (("train", train), ("val", val)):
        for kind in ("Segmentation", "Main") if main else ("Segmentation",):
            (folder / "ImageSets" / kind / (split + ".txt")).write_text("\n".join(names) + "\n")
    return folder


def sbd_tree(folder, train=("2008_000002", "2009_000001")):
    """SBD's dataset folder: img, cls, inst and lists."""
    for name in ("img", "cls", "inst"):
        os.makedirs(str(folder / name))
    rng = np.random.RandomState(2)
    for i, name in enumerate(train):
        jpeg(folder / "img" / (name + ".jpg"), seed=10 + i)
        label = rng.randint(0, 21, (12, 16)).astype(np.uint8)
        data_samples.sbd_mat(folder / "cls" / (name + ".mat"), label)
        data_samples.sbd_mat(folder / "inst" / (name + ".mat"), np.minimum(label, 2), "inst")
    (folder / "train.txt").write_text("\n".join(train) + "\n")
    (folder / "val.txt").write_text("\n")
    return folder


def tar_of(folder, path, prefix, mode="w"):
    """An archive of a folder's content below ``prefix``, as tar makes it."""
    with tarfile.open(str(path), mode) as tar:
        tar.add(str(folder), prefix)
        extra = tarfile.TarInfo(prefix + "/._added_by_macos")
        extra.size = 3
        tar.addfile(extra, io.BytesIO(b"mac"))
    return str(path)


def zip_of(folder, path, prefix=""):
    with zipfile.ZipFile(str(path), "w") as archive:
        for base, _, names in os.walk(str(folder)):
            for name in sorted(names):
                full = os.path.join(base, name)
                archive.write(full, prefix + os.path.relpath(full, str(folder)))
    return str(path)
