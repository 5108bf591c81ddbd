"""Tiny datasets, a few images of about 40 by 50 pixels, in the true layouts and file formats.

    folders = make("nyud", "/some/folder")   # {"nyud_dir": "/some/folder/nyud"}

The result is what the data layers of that dataset want in their ``param_str``.  Contents are drawn
from a fixed seed: photographs with soft shapes, labels in rectangles, all kinds of void in them.
`nyud_official` writes the files that NYUDv2 is downloaded as.
"""

import os
import sys

import numpy as np
import scipy.io
import scipy.sparse
from PIL import Image

HERE = os.path.dirname(os.path.abspath(__file__))
if os.path.dirname(HERE) not in sys.path:
    sys.path.insert(0, os.path.dirname(HERE))

from data.pascalcontext import CLASSES as CONTEXT_CLASSES  # noqa: E402
from fcn.palette import save_label_png, voc_palette  # noqa: E402

__all__ = [
    "DATASETS",
    "camvid",
    "context",
    "make",
    "nyud",
    "nyud_official",
    "photo",
    "rectangles",
    "sbd",
    "siftflow",
    "voc",
]

#: Height and width of the images, in turn.
SIZES = ((40, 52), (43, 47), (38, 56))

SIFTFLOW_SUBFOLDER = "spatial_envelope_256x256_static_8outdoorcategories"

#: Names of the long list of PASCAL-Context that the short one spells otherwise.
CONTEXT_SPELLINGS = {"diningtable": "table", "bedcloth": "bedclothes", "clothes": "cloth"}


def photo(height, width, rng, channels=3):
    """A soft picture, uint8 (height, width, channels), values over the whole range."""
    small = rng.randint(0, 256, (5, 6, channels)).astype(np.uint8)
    image = Image.fromarray(small).resize((width, height), Image.BICUBIC)
    noise = rng.randint(-12, 13, (height, width, channels))
    return np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8)


def rectangles(height, width, values, rng, dtype=np.uint8):
    """A label map of rectangles, each of one of ``values``."""
    label = np.full((height, width), values[0], dtype)
    for value in rng.permutation(values)[:12]:
        top, left = rng.randint(0, height - 8), rng.randint(0, width - 8)
        label[top : top + rng.randint(4, 16), left : left + rng.randint(4, 20)] = value
    return label


def _folders(root, *names):
    paths = [os.path.join(str(root), *name.split("/")) for name in names]
    for path in paths:
        os.makedirs(path, exist_ok=True)
    return paths


def _list(path, names):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write("".join(name + "\n" for name in names))


def _jpeg(path, pixels):
    Image.fromarray(pixels).save(path, "JPEG", quality=95)


def _mat(path, **variables):
    scipy.io.savemat(path, variables, do_compression=True)


def voc(
    root,
    train=("2008_000002", "2008_000003"),
    val=("2007_000033", "2007_000042", "2007_000061"),
    seed=0,
):
    """PASCAL VOC's folders: JPEG, palette PNG, lists train, val, seg11valid and seg12valid."""
    rng = np.random.RandomState(seed)
    images, labels, lists = _folders(
        root, "JPEGImages", "SegmentationClass", "ImageSets/Segmentation"
    )
    for i, name in enumerate(tuple(train) + tuple(val)):
        size = SIZES[i % len(SIZES)]
        _jpeg(os.path.join(images, name + ".jpg"), photo(*size, rng))
        save_label_png(
            os.path.join(labels, name + ".png"),
            rectangles(*size, list(range(21)) + [255] * 3, rng),
            voc_palette(),
        )
    for split, names in (
        ("train", train),
        ("val", val),
        ("trainval", train + val),
        ("seg11valid", val),
        ("seg12valid", val),
    ):
        _list(os.path.join(lists, split + ".txt"), names)
    return str(root)


def sbd(root, train=("2008_000007", "2008_000008", "2009_000001"), val=("2008_000009",), seed=1):
    """SBD's folder ``dataset``: img, cls and inst with the structs GTcls and GTinst, lists."""
    rng = np.random.RandomState(seed)
    images, classes, instances = _folders(root, "img", "cls", "inst")
    for i, name in enumerate(tuple(train) + tuple(val)):
        size = SIZES[i % len(SIZES)]
        _jpeg(os.path.join(images, name + ".jpg"), photo(*size, rng))
        label = rectangles(*size, list(range(21)), rng)
        sbd_mat(os.path.join(classes, name + ".mat"), label)
        sbd_mat(os.path.join(instances, name + ".mat"), np.minimum(label, 2), "inst")
    for split, names in (("train", train), ("val", val)):
        _list(os.path.join(str(root), split + ".txt"), names)
    return str(root)


def sbd_mat(path, label, kind="cls"):
    """SBD's struct: boundaries as 20 sparse maps, the segmentation, the categories present.

    kind: "cls" (classes) or "inst" (numbers of objects), which differ in two names.
    """
    categories = {"cls": "CategoriesPresent", "inst": "Categories"}[kind]
    present = np.setdiff1d(label, [0]).astype(np.uint8)
    boundaries = np.empty((20, 1), object)
    for number in range(20):
        boundaries[number, 0] = scipy.sparse.csc_matrix(label == number + 1)
    _mat(
        str(path),
        **{
            "GT" + kind: {
                "Boundaries": boundaries,
                "Segmentation": label,
                categories: present.reshape(-1, 1),
            }
        },
    )


def context(root, train=("2008_000002", "2008_000003"), val=("2008_000006", "2008_000008"), seed=2):
    """``root``/pascal/VOC2010 and ``root``/pascal-context, 64 raw classes of which 59 are named."""
    rng = np.random.RandomState(seed)
    images, lists, labels = _folders(
        root,
        "pascal/VOC2010/JPEGImages",
        "pascal/VOC2010/ImageSets/Main",
        "pascal-context/trainval",
    )
    raw = sorted(
        [CONTEXT_SPELLINGS.get(name, name) for name in CONTEXT_CLASSES[1:]]
        + ["air conditioner", "ash tray", "clothes tree", "unknown", "zoo"]
    )
    for i, name in enumerate(train + val):
        size = SIZES[i % len(SIZES)]
        _jpeg(os.path.join(images, name + ".jpg"), photo(*size, rng))
        _mat(
            os.path.join(labels, name + ".mat"),
            LabelMap=rectangles(*size, list(range(len(raw) + 1)), rng, np.uint16),
        )
    _list(os.path.join(lists, "train.txt"), train)
    _list(os.path.join(lists, "val.txt"), val)
    folder = os.path.dirname(labels)
    _list(os.path.join(folder, "labels.txt"), [f"{i}: {name}" for i, name in enumerate(raw, 1)])
    _list(
        os.path.join(folder, "59_labels.txt"),
        [f"{i}: {name}" for i, name in enumerate(CONTEXT_CLASSES) if i],
    )
    return str(root)


def siftflow(
    root,
    trainval=("coast_arnat59", "street_urb885", "forest_for121"),
    test=("coast_natu975", "highway_gre141"),
    seed=3,
    lists=True,
):
    """SIFT Flow's folders: S of 0 to 33 (0 void), geometric S of -1 and 1 to 3 (-1 void), names.

    With ``lists`` trainval.txt and test.txt; TestSet1.txt as in the archive in any case.
    """
    rng = np.random.RandomState(seed)
    images, semantic, geometric = _folders(
        root,
        *(f"{kind}/{SIFTFLOW_SUBFOLDER}" for kind in ("Images", "SemanticLabels", "GeoLabels")),
    )
    from data import siftflow as dataset

    for i, name in enumerate(tuple(trainval) + tuple(test)):
        size = SIZES[i % len(SIZES)]
        _jpeg(os.path.join(images, name + ".jpg"), photo(*size, rng))
        _mat(
            os.path.join(semantic, name + ".mat"),
            names=_cells(dataset.CLASSES),
            S=rectangles(*size, list(range(34)), rng),
        )
        _mat(
            os.path.join(geometric, name + ".mat"),
            names=_cells(dataset.GEOMETRIC_CLASSES),
            S=rectangles(*size, [-1, 1, 2, 3] * 3, rng, np.int16),
        )
    if lists:
        _list(os.path.join(str(root), "trainval.txt"), trainval)
        _list(os.path.join(str(root), "test.txt"), test)
    _list(
        os.path.join(str(root), "TestSet1.txt"),
        [SIFTFLOW_SUBFOLDER + "\\" + name + ".jpg" for name in test],
    )
    return str(root)


def _cells(names):
    """A MATLAB cell array of strings."""
    cells = np.empty((len(names), 1), object)
    cells[:, 0] = names
    return cells


def nyud(root, trainval=("5003", "5004", "5005"), test=("5001", "5002"), seed=4):
    """NYUDv2 as prepared: colour, depth (16 bits, millimetres) and HHA as PNG, labels as MAT."""
    rng = np.random.RandomState(seed)
    images, depths, hhas, labels = _folders(
        root, "data/images", "data/depth", "data/hha", "segmentation"
    )
    for i, name in enumerate(trainval + test):
        size = SIZES[i % len(SIZES)]
        Image.fromarray(photo(*size, rng)).save(os.path.join(images, f"img_{name}.png"))
        Image.fromarray(photo(*size, rng)).save(os.path.join(hhas, f"img_{name}.png"))
        depth = 700 + photo(*size, rng, 4)[:, :, :2].astype(np.int64).dot([30, 3])
        Image.fromarray(depth.astype(np.uint16)).save(os.path.join(depths, f"img_{name}.png"))
        _mat(
            os.path.join(labels, f"img_{name}.mat"),
            segmentation=rectangles(*size, list(range(41)), rng),
        )
    for split, names in (
        ("trainval", trainval),
        ("train", trainval[:1]),
        ("val", trainval[1:]),
        ("test", test),
    ):
        _list(os.path.join(str(root), split + ".txt"), names)
    return str(root)


def nyud_official(folder, count=3, size=(480, 640), test=(1,), seed=5):
    """nyu_depth_v2_labeled.mat (MATLAB 7.3), splits.mat and classMapping40.mat in ``folder``.

    ``count`` images; those with the numbers ``test``, from 1, are the test split.  The scene is a
    floor and a wall before a camera that looks down by 12 degrees.  The HDF5 arrays have MATLAB's
    order reversed, as MATLAB writes them: (image, width, height).
    """
    import h5py  # the package of the engine needs it; other tests of datasets do not

    rng = np.random.RandomState(seed)
    os.makedirs(str(folder), exist_ok=True)
    height, width = size
    names = [f"thing {i}" for i in range(1, 61)]
    mapping = (np.arange(len(names)) * 7 % 40 + 1).astype(np.uint8)
    images, depths, raws, labels = [], [], [], []
    for _ in range(count):
        images.append(photo(height, width, rng).transpose(2, 1, 0))
        depth = room_depth(height, width)
        hole = np.zeros(size, bool)
        hole[height // 2 : height // 2 + 20, width // 11 : width // 11 + 40] = True
        depths.append(depth.T)
        raws.append(np.where(hole, 0, depth).T)
        labels.append(rectangles(height, width, range(len(names) + 1), rng, np.uint16).T)
    path = os.path.join(str(folder), "nyu_depth_v2_labeled.mat")
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, arrays, dtype in (
            ("images", images, np.uint8),
            ("depths", depths, np.float32),
            ("rawDepths", raws, np.float32),
            ("labels", labels, np.uint16),
        ):
            file.create_dataset(
                name,
                data=np.array(arrays, dtype),
                compression="gzip",
                compression_opts=1,
                chunks=(1,) + arrays[0].shape,
            )
        _hdf5_cells(file, "names", names, (1, len(names)))
        _hdf5_cells(file, "scenes", [f"office_{i:04d}" for i in range(count)], (1, count))
    with open(path, "r+b") as file:
        header = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Thu Jun 21 10:00:00 2012 "
        file.write((header + b"HDF5 schema 1.00 .").ljust(124) + b"\x00\x02IM")
    numbers = np.setdiff1d(np.arange(1, count + 1), test)
    _mat(
        os.path.join(str(folder), "splits.mat"),
        trainNdxs=numbers.reshape(-1, 1).astype(np.float64),
        testNdxs=np.reshape(test, (-1, 1)).astype(np.float64),
    )
    from data import nyud as dataset

    _mat(
        os.path.join(str(folder), "classMapping40.mat"),
        mapClass=mapping.reshape(1, -1),
        className=_cells(dataset.CLASSES).T,
        allClassName=_cells(names).T,
    )
    return str(folder)


def _hdf5_cells(file, name, strings, shape):
    """A cell array of strings as MATLAB 7.3 stores it: references to (length, 1) uint16."""
    import h5py

    references = []
    for i, text in enumerate(strings):
        item = file.create_dataset(
            f"#refs#/{name}{i}", data=np.array([ord(c) for c in text], np.uint16)[:, None]
        )
        item.attrs["MATLAB_class"] = np.bytes_("char")
        references.append(item.ref)
    cells = file.create_dataset(name, shape, dtype=h5py.special_dtype(ref=h5py.Reference))
    cells[0, :] = references
    cells.attrs["MATLAB_class"] = np.bytes_("cell")


def room_depth(height, width, tilt=12.0, above=1.4, wall=3.2, focal=519.0):
    """Depth in metres, float32, of a floor ``above`` below the camera and a wall ``wall`` ahead.

    The camera looks down by ``tilt`` degrees; y of the camera points down.
    """
    y = ((np.arange(height) - (height - 1) / 2) / focal)[:, None] + np.zeros(width)
    down = np.radians(tilt)
    towards_floor = y * np.cos(down) + np.sin(down)
    towards_wall = np.cos(down) - y * np.sin(down)
    with np.errstate(divide="ignore"):
        floor = np.where(towards_floor > 0, above / towards_floor, np.inf)
    return np.minimum(floor, wall / towards_wall).astype(np.float32)


def camvid(root, seed=6):
    """CamVid as in the SegNet tutorial: PNGs of 0 to 11, of which 11 is void, lists of paths."""
    rng = np.random.RandomState(seed)
    for split, count in (("train", 3), ("val", 2), ("test", 2)):
        images, labels = _folders(root, split, split + "annot")
        lines = []
        for i in range(count):
            size, name = SIZES[0], f"0016E5_{i + 1:05d}.png"
            Image.fromarray(photo(*size, rng)).save(os.path.join(images, name))
            Image.fromarray(rectangles(*size, list(range(12)), rng)).save(
                os.path.join(labels, name)
            )
            lines.append(f"/SegNet/CamVid/{split}/{name} /SegNet/CamVid/{split}annot/{name}")
        _list(os.path.join(str(root), split + ".txt"), lines)
    return str(root)


def _make_voc(folder):
    return {
        "voc_dir": voc(os.path.join(folder, "pascal", "VOC2011")),
        "sbdd_dir": sbd(os.path.join(folder, "sbdd", "dataset")),
    }


def _make_context(folder):
    context(folder)
    return {
        "voc_dir": os.path.join(folder, "pascal"),
        "context_dir": os.path.join(folder, "pascal-context"),
    }


_MAKERS = {
    "voc": _make_voc,
    "pascalcontext": _make_context,
    "siftflow": lambda folder: {"siftflow_dir": siftflow(os.path.join(folder, "sift-flow"))},
    "nyud": lambda folder: {"nyud_dir": nyud(os.path.join(folder, "nyud"))},
    "camvid": lambda folder: {"camvid_dir": camvid(os.path.join(folder, "camvid"))},
}
DATASETS = tuple(sorted(_MAKERS))


def make(dataset, folder):
    """Write the dataset of that name in fcn/catalog to ``folder``: {key of param_str: folder}."""
    return _MAKERS[dataset](str(folder))
