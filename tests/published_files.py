"""Small prototxts in the words of published families: where they are, and data for them.

Each file of tests/published/FAMILY has the types, fields, spellings and order of such files; sizes
and depths are small.  Further ones are texts of tests/published_nets.py.
"""

import pathlib

import numpy as np
from published_nets import CRF_RNN, CRF_RNN_V1, NETS

FOLDER = pathlib.Path(__file__).parent / "published"

#: Folder → the family's name.
FAMILIES = {
    "bvlc": "BVLC's zoo and examples",
    "fcn": "FCN",
    "ssd": "SSD",
    "deeplab": "DeepLab",
    "segnet": "SegNet",
    "pspnet": "PSPNet",
    "py-faster-rcnn": "py-faster-rcnn",
    "r-fcn": "R-FCN",
    "crf-rnn": "CRF-RNN",
    "deconvnet": "DeconvNet",
    "enet": "ENet",
    "mobilenet": "MobileNet",
    "shufflenet": "ShuffleNet",
    "flownet": "FlowNet",
    "nvidia": "NVIDIA (DIGITS, DetectNet, half precision)",
    "intel": "Intel",
    "openpose": "OpenPose",
    "mtcnn": "MTCNN",
    "yolo": "YOLO, converted",
    "face": "face recognition",
    "gan": "adversarial nets (pix2pix, DCGAN)",
    "resnet": "ResNet, DenseNet, Inception, SENet",
    "unet": "U-Net",
    "hed": "edges (HED)",
    "parsenet": "ParseNet",
    "superresolution": "super-resolution (SRCNN)",
    "colorization": "colorization",
    "style": "style transfer",
}
#: The first word of a name in published_nets.NETS → the folder of its family.
_OF_TEXTS = {
    "SegNet": "segnet",
    "DeconvNet": "deconvnet",
    "ENet": "enet",
    "DeepLab": "deeplab",
    "PSPNet": "pspnet",
    "Faster R-CNN": "py-faster-rcnn",
    "R-FCN": "r-fcn",
    "YOLO v2": "yolo",
    "ShuffleNet": "shufflenet",
    "MobileNet": "mobilenet",
    "SENet": "resnet",
}
#: Nets that need a state, or have one phase only: (phase, stages).
STATES = {
    "bvlc/autoencoder.prototxt": [("TRAIN", []), ("TEST", ["test-on-train"])],
    "nvidia/digits_all_in_one.prototxt": [("TRAIN", ["train"]), ("TEST", ["val"]), ("TEST", [])],
}
BOTH = [("TRAIN", []), ("TEST", [])]

LAYER = """
import caffe
import numpy as np


class Pictures(caffe.Layer):
    def setup(self, bottom, top):
        eval(self.param_str)

    def reshape(self, bottom, top):
        top[0].reshape(1, 3, 20, 24)
        top[1].reshape(1, 1, 20, 24)

    def forward(self, bottom, top):
        top[0].data[...] = 1
        top[1].data[...] = 0

    def backward(self, top, propagate_down, bottom):
        pass
"""


def texts():
    """(family's folder, name, text) of the nets that are texts."""
    found = [("crf-rnn", "CRF-RNN", CRF_RNN), ("crf-rnn", "CRF-RNN, V1", CRF_RNN_V1)]
    for name, text in NETS.items():
        family = next(folder for word, folder in _OF_TEXTS.items() if name.startswith(word))
        found.append((family, name, text))
    return found


def files():
    """The names of the files, as ``bvlc/hdf5.prototxt``; solvers last."""
    names = [path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.prototxt")]
    return sorted(names, key=lambda name: (is_solver(name), name))


def is_solver(name):
    return name.endswith("solver.prototxt")


def make_data(folder):
    """The databases, lists and pictures that the files name, in ``folder``."""
    import h5py
    from PIL import Image

    import caffe
    from caffe.data import db
    from caffe.proto import caffe_pb2

    draw = np.random.default_rng(0)
    for name, shape in (("grey", (1, 16, 16)), ("color", (3, 20, 20)), ("pair", (2, 16, 16))):
        with db.create(str(folder / f"{name}_lmdb"), "lmdb") as writer:
            for number in range(4):
                pixels = draw.integers(0, 256, shape).astype(np.uint8)
                datum = caffe.io.array_to_datum(pixels, number % 2)
                writer.put(b"%08d" % number, datum.SerializeToString())
    mean = caffe_pb2.BlobProto(num=1, channels=3, height=20, width=20, data=[100.0] * 1200)
    (folder / "mean.binaryproto").write_bytes(mean.SerializeToString())
    Image.fromarray(draw.integers(0, 256, (24, 30, 3)).astype(np.uint8)).save(folder / "0.png")
    (folder / "list.txt").write_text("0.png 0\n0.png 1\n")
    (folder / "windows.txt").write_text(
        f"# 0\n{folder}/0.png\n3\n24\n30\n2\n7 0.9 2 2 20 20\n0 0.1 1 1 9 9\n"
    )
    for name, data, label in (
        ("h5", draw.random((6, 4)), np.arange(6) % 2),
        ("h5_pictures", draw.random((6, 1, 9, 9)), draw.random((6, 1, 7, 7))),
    ):
        with h5py.File(folder / f"{name}.h5", "w") as file:
            file["data"], file["label"] = data.astype("f4"), label.astype("f4")
        (folder / f"{name}.txt").write_text(f"{folder}/{name}.h5\n")
    (folder / "published_layer.py").write_text(LAYER)
