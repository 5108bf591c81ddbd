"""The table of published weights: files, addresses, sizes, checksums, licences, means, places.

A checksum is here only if somebody published it: BVLC's model pages (SHA-1), or collections that
test against the same file (OpenCV's and MXNet's, SHA-1; Open Model Zoo's, size and SHA-2). Where
nobody did, `hashes` is empty, and a file is checked for being a whole caffemodel with at least the
bytes that its numbers take.
"""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from collections.abc import Sequence

from fcn.catalog import EXPERIMENTS, PUBLISHED
from segdata import means

__all__ = ["HOSTS", "WEIGHTS", "Weights", "by_file", "host_remark", "row"]

_Weights = namedtuple("_Weights", "name what file urls size numbers hashes licence mean inputs")


class Weights(_Weights):
    """One file. file: its place, relative to the repository root; urls: best first; size: bytes, or
    None where it was never published; numbers: how many its parameters are, at least; hashes:
    {algorithm of hashlib: hexadecimal}; mean: subtracted from the image blob, in its channel order,
    0–255, as text where it is not three numbers; inputs: the order of the channels."""

    __slots__ = ()

    @property
    def least(self) -> int:
        """The bytes that the file has at least: four for each number."""
        return 4 * self.numbers


BERKELEY = "http://dl.caffe.berkeleyvision.org/"
OXFORD = "http://www.robots.ox.ac.uk/~vgg/software/very_deep/caffe/"
MXNET = "https://apache-mxnet.s3-accelerate.dualstack.amazonaws.com/caffe/models/"
OPENCV = "https://dl.opencv.org/models/"
OPENVINO = "https://storage.openvinotoolkit.org/repositories/open_model_zoo/public/2022.1/"
ZENODO = "https://zenodo.org/api/files/aa42ffda-dc69-4110-8a52-32f9dc7092b8/"
NVIDIA = "https://nvidia.box.com/shared/static/"
ONEDRIVE = (
    "https://onedrive.live.com/download?cid=4006CBB8476FF777&resid=4006CBB8476FF777%21{}"
    "&authkey=%21AAFW2%2DFVoxeVRck"
)
SQUEEZENET = (
    "https://raw.githubusercontent.com/forresti/SqueezeNet/"
    "a47b6f13d30985279789d08053d37013d67d131b/"
)
TINGHUI = "people.eecs.berkeley.edu"

#: What is known of a host, said when it does not answer.
HOSTS = {
    "dl.caffe.berkeleyvision.org": "gone: down in 2018 and 2019, reported down again in 2024 "
    "(BVLC/caffe issues 6430 and 6864)",
    TINGHUI: "gone: the page was removed in 2021 (phillipi/pix2pix issue 211)",
    "onedrive.live.com": "may ask for a browser: its links of that age do not always answer "
    "a program",
}

UNRESTRICTED = "unrestricted use"
CC_BY = "CC BY 4.0"
#: Numbers in VGG-16 without its classifier's last layer.
VGG16_TRUNK = 134260544
WHOLE = (104.0, 117.0, 123.0)
BGR = "BGR"


def _ilsvrc(
    name: str,
    what: str,
    file: str,
    urls: Sequence[str],
    size: int,
    numbers: int,
    licence: str,
    mean: Sequence[float] | None,
    **hashes: str,
) -> Weights:
    return Weights(
        name, what, "ilsvrc-nets/" + file, urls, size, numbers, hashes, licence, mean, BGR
    )


#: The channels of the image blobs.
CHANNELS = {"data": BGR, "color": BGR, "hha": "disparity, height, angle"}


def _fcn(name: str, what: str, numbers: int, **hashes: str) -> Weights:
    """A trained FCN: the mean is that of the experiment's image blobs, in their order."""
    file, blobs = PUBLISHED[name], EXPERIMENTS[name].dataset.inputs
    mean = (
        blobs[0].mean
        if len(blobs) == 1
        else " and ".join(", ".join(str(value) for value in blob.mean) for blob in blobs)
    )
    return Weights(
        name,
        what,
        f"nets/{name}/{file}",
        (BERKELEY + file,),
        None,
        numbers,
        hashes,
        UNRESTRICTED,
        mean,
        " and ".join(CHANNELS[blob.blob] for blob in blobs),
    )


_ROWS = (
    # ---- Classifiers, to start from --------------------------------------------------------------
    _ilsvrc(
        "vgg16",
        "VGG-16: what all FCNs but AlexNet's start from",
        "VGG_ILSVRC_16_layers.caffemodel",
        (OXFORD + "VGG_ILSVRC_16_layers.caffemodel", MXNET + "vgg/VGG_ILSVRC_16_layers.caffemodel"),
        553432081,
        138357544,
        CC_BY,
        means.VGG,
        sha1="9363e1f6d65f7dba68c4f27a1e62105cdf6c4e24",
        sha256="a6196bc498e45ea4cb2637114ae8db9410cf1556fd60a55ae93272371beba197",
    ),
    _ilsvrc(
        "vgg19",
        "VGG-19",
        "VGG_ILSVRC_19_layers.caffemodel",
        (OXFORD + "VGG_ILSVRC_19_layers.caffemodel", MXNET + "vgg/VGG_ILSVRC_19_layers.caffemodel"),
        574671192,
        143667240,
        CC_BY,
        means.VGG,
        sha1="239785e7862442717d831f682bb824055e51e9ba",
        sha384="86b83739d448a81ddc927922d4d7581e06113478106b59480097b02cc63ff51c"
        "9da7c3cd8a865b08946d07d0281d5b2e",
    ),
    _ilsvrc(
        "caffenet",
        "CaffeNet: what voc-fcn-alexnet starts from",
        "bvlc_reference_caffenet.caffemodel",
        (BERKELEY + "bvlc_reference_caffenet.caffemodel",),
        243862418,
        60965224,
        UNRESTRICTED,
        means.ILSVRC,
        sha1="4c8d77deb20ea792f84eb5e6d0a11ca0a8660a46",
        sha384="6677844301d6c7f68f5b6a299cf41c4f0955bab7d1fb8719375fae6d05b6173d"
        "b9deccf3ac4aaa4225bf6c6e99d81a68",
    ),
    _ilsvrc(
        "alexnet",
        "AlexNet, which normalises before it pools",
        "bvlc_alexnet.caffemodel",
        (
            OPENVINO + "alexnet/bvlc_alexnet.caffemodel",
            MXNET + "bvlc_alexnet/bvlc_alexnet.caffemodel",
            NVIDIA + "5j264j7mky11q8emy4q14w3r8hl5v6zh.caffemodel",
            BERKELEY + "bvlc_alexnet.caffemodel",
        ),
        243862414,
        60965224,
        UNRESTRICTED,
        means.ILSVRC,
        sha1="9116a64c0fbe4459d18f4bb6b56d647b63920377",
        sha256="4bff209a9837298157915ef50a4831a59636a6ca1a6b8ebacd990c3a5f3053e0",
    ),
    _ilsvrc(
        "googlenet",
        "GoogLeNet; the file also has its two inner classifiers",
        "bvlc_googlenet.caffemodel",
        (
            OPENVINO + "googlenet-v1/bvlc_googlenet.caffemodel",
            MXNET + "bvlc_googlenet/bvlc_googlenet.caffemodel",
            NVIDIA + "at8b1105ww1c5h7p30j5ko8qfnxrs0eg.caffemodel",
            BERKELEY + "bvlc_googlenet.caffemodel",
        ),
        53533754,
        13378280,
        UNRESTRICTED,
        WHOLE,
        sha1="405fc5acd08a3bb12de8ee5e23a96bec22f08204",
        sha256="6f7101e3a2183738a7125a0c5021ba82a1feb4228c5ca0924d991b6daf6f6fad",
    ),
    _ilsvrc(
        "resnet50",
        "ResNet-50",
        "ResNet-50-model.caffemodel",
        (
            OPENCV + "ResNet-50-model.caffemodel",
            MXNET + "resnet/ResNet-50-model.caffemodel",
            ZENODO + "ResNet-50-model.caffemodel",
            ONEDRIVE.format(17895),
        ),
        102462397,
        25557096,
        "MIT",
        WHOLE,
        sha1="b7c79ccc21ad0479cddc0dd78b1d20c4d722908d",
        sha256="44ee2b08816cede2b7aaa047888df07dcab52f73399aa1c8bef05a17bfdd4888",
    ),
    _ilsvrc(
        "resnet101",
        "ResNet-101",
        "ResNet-101-model.caffemodel",
        (MXNET + "resnet/ResNet-101-model.caffemodel", ONEDRIVE.format(17896)),
        178662602,
        44549160,
        "MIT",
        WHOLE,
        sha1="1dbf5f493926bb9b6b3363b12d5133c0f8b78904",
        sha256="2847d93346d7928ec1f257f49f60ea53e9075c15265c494469610e67ffb7f2e2",
    ),
    _ilsvrc(
        "resnet152",
        "ResNet-152",
        "ResNet-152-model.caffemodel",
        (
            MXNET + "resnet/ResNet-152-model.caffemodel",
            ZENODO + "ResNet-152-model.caffemodel",
            ONEDRIVE.format(17897),
        ),
        241444171,
        60192808,
        "MIT",
        WHOLE,
        sha1="251edb93604ac8268c7fd2227a0f15144310e1aa",
        sha256="6253c4c4132c0b25c112b166629aa57dcaeec044a4c68ac9f003b6c801329d55",
    ),
    _ilsvrc(
        "squeezenet1.0",
        "SqueezeNet 1.0",
        "squeezenet_v1.0.caffemodel",
        (
            SQUEEZENET + "SqueezeNet_v1.0/squeezenet_v1.0.caffemodel",
            OPENVINO + "squeezenet1.0/squeezenet_v1.0.caffemodel",
        ),
        5001403,
        1248424,
        "BSD 2-clause",
        WHOLE,
        sha1="579d0beb658e43c45937bf8bb5e4034fea4e1f69",
        sha384="b8dc96393e093b4f23390b70f01fe37330d629759db59c1da3c15f846d0b1b17"
        "51b6ad841570c2e303c86829c750a745",
    ),
    _ilsvrc(
        "squeezenet1.1",
        "SqueezeNet 1.1",
        "squeezenet_v1.1.caffemodel",
        (
            SQUEEZENET + "SqueezeNet_v1.1/squeezenet_v1.1.caffemodel",
            ZENODO + "squeezenet_v1.1.caffemodel",
        ),
        4950080,
        1235496,
        "BSD 2-clause",
        WHOLE,
        sha1="3397f026368a45ae236403ccc81cfcbe8ebe1bd0",
        sha256="72b912ace512e8621f8ff168a7d72af55910d3c7c9445af8dfbff4c2ee960142",
    ),
    # ---- The FCNs, trained -----------------------------------------------------------------------
    _fcn("voc-fcn32s", "63.6 mean IU on seg11valid", 136152917),
    _fcn("voc-fcn16s", "65.0 mean IU on seg11valid", 134815994),
    _fcn(
        "voc-fcn8s",
        "65.5 mean IU on seg11valid, 67.2 on seg12test",
        134489759,
        sha1="c449ea74dd7d83751d1357d6a8c323fcf4038962",
        md5="c03b2953ebd846c270da1a8e8f200c09",
    ),
    _fcn("voc-fcn8s-atonce", "65.4 mean IU on seg11valid", 134490527),
    _fcn("voc-fcn-alexnet", "48.0 mean IU on seg11valid", 58704590),
    _fcn("pascalcontext-fcn32s", "59 classes and background", 149251964),
    _fcn("pascalcontext-fcn16s", "59 classes and background", 138281144),
    _fcn("pascalcontext-fcn8s", "59 classes and background", 135589364),
    _fcn("siftflow-fcn32s", "33 semantic and 3 geometric classes", 138905444),
    _fcn("siftflow-fcn16s", "33 semantic and 3 geometric classes", 135568424),
    _fcn("siftflow-fcn8s", "33 semantic and 3 geometric classes", 134751980),
    _fcn("nyud-fcn32s-color", "40 classes from colour", 140978024),
    _fcn("nyud-fcn32s-hha", "40 classes from depth", 140978024),
    _fcn("nyud-fcn32s-color-hha", "40 classes from both", 275402448),
    Weights(
        "cityscapes-fcn8s",
        "FCN-8s of pix2pix, which scores generated Cityscapes photos",
        "examples/fcn-8s-cityscapes.caffemodel",
        (
            f"http://{TINGHUI}/~tinghuiz/projects/pix2pix/fcn-8s-cityscapes/"
            "fcn-8s-cityscapes.caffemodel",
        ),
        None,
        VGG16_TRUNK,
        {},
        "not stated",
        (72.78044, 83.21195, 73.45286),
        BGR,
    ),
)

WEIGHTS = OrderedDict((entry.name, entry) for entry in _ROWS)


def row(name: str) -> Weights:
    """One row of the table; LookupError names the known ones."""
    if name not in WEIGHTS:
        raise LookupError(
            "no weights '{}' in data/weights_table.py; there are {}".format(
                name, ", ".join(WEIGHTS)
            )
        )
    return WEIGHTS[name]


def by_file(place: str) -> Weights | None:
    """The row of the file that belongs at `place` (relative to the repository root), or None."""
    place = place.replace("\\", "/")
    return next((entry for entry in _ROWS if entry.file == place), None)


def host_remark(url: str) -> str:
    """What is known of the host of an address; "" if nothing is."""
    host = url.split("//", 1)[-1].split("/", 1)[0]
    return HOSTS.get(host, "")
