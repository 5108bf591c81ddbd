"""Shift-and-stitch equals filter rarefaction; what each costs (CVPR paper §3.2, §3.3).

A net of stride f gives a score at every f-th pixel. Three ways to one at every pixel:
shift-and-stitch runs the net on the image shifted by each of f×f offsets and interlaces what
comes; rarefaction removes the strides and dilates the kernels behind them (à trous); deconvolution
runs the net once and interpolates. The first two give the same scores, to rounding. The paper uses
the third: it costs next to nothing, and learns.

The nets: a narrow VGG of stride 8 with random weights, and the trained CamVid net to its scores of
stride 16. Padding is left out, for shifted images are padded elsewhere.
"""

import os
import sys
from collections import OrderedDict

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
os.environ.setdefault("GLOG_minloglevel", "2")
import numpy as np
from PIL import Image

import caffe
import surgery
from caffe import layers as L
from fcn import catalog
from fcn.backbones import vgg16
from fcn.geometry import facts
from fcn.prototxt import read_net
from fcn.random_weights import fill, unpadded
from nets.convolutionize import built, scores
from papers import _common, dense_grid
from papers._rarefied import rarefied

CAMVID = "nets/camvid-fcn8s/camvid-fcn8s.caffemodel"


def vgg(stages=((16, 2), (32, 2), (64, 3)), classes=21):
    """A narrow VGG: one score of 3×3 and 1×1 convolutions behind its last pooling."""
    n = caffe.NetSpec()
    n.data = L.Input(shape=dict(dim=[1, 3, 224, 224]))
    top = list(vgg16.add_convolutions(n, n.data, stages).values())[-1]
    n.last = L.Convolution(top, num_output=stages[-1][0], kernel_size=3)
    n.relu_last = L.ReLU(n.last, in_place=True)
    n.score = L.Convolution(n.relu_last, num_output=classes, kernel_size=1)
    return n.to_proto()


def camvid():
    """The CamVid net up to its scores of stride 16, those of pool4."""
    net = read_net(catalog.net_path("camvid-fcn16s", "deploy"))
    names = [layer.name for layer in net.layer]
    score = net.layer[names.index("score_pool4")]
    layers = list(net.layer[: names.index("pool4") + 1]) + [score]
    made = type(net)(name=net.name)
    made.layer.extend(layers)
    return made


class Ways:
    """One net, `size`×`size` pixels of scores, and the three ways to them.

    param: its NetParameter; load(net): gives it weights; cells: places along an axis in one pass.
    """

    def __init__(self, param, load, cells):
        last = facts.walk(unpadded(param, 512))[-1]
        self.stride, self.field = int(1 / last.blob.scale), int(last.blob.field)
        self.blob, self.cells, self.size = last.tops[0], cells, cells * self.stride
        self.side = self.field + self.stride * (cells - 1)  # of the image of one pass
        self.whole = self.field + self.size - 1
        narrow = unpadded(param, self.side)
        self.net = _built(narrow)
        load(self.net)
        self.sparse = _built(rarefied(narrow, self.whole), self.net)
        self.up = _built(_upsampled(narrow, last, self.stride), self.net)
        surgery.interp(self.up, ["upscore"])

    def shift_and_stitch(self, image, batch=1):
        """C×size×size scores: one pass for each of stride² shifts."""
        f, side, found = self.stride, self.side, None
        shifts = [(y, x) for y in range(f) for x in range(f)]
        for first in range(0, len(shifts), batch):
            some = shifts[first : first + batch]
            images = np.concatenate([image[:, :, y : y + side, x : x + side] for y, x in some])
            given = scores(self.net, images, self.blob)
            if found is None:
                found = np.empty((given.shape[1], self.size, self.size), np.float32)
            for (y, x), each in zip(some, given):
                found[:, y::f, x::f] = each
        return found

    def rarefied(self, image):
        """The same in one pass without strides."""
        return scores(self.sparse, image, self.blob)[0]

    def upsampled(self, image):
        """One pass, interpolated. Its places are those of the middle shift."""
        middle = self.stride // 2
        window = image[:, :, middle : middle + self.side, middle : middle + self.side]
        return scores(self.up, window, "upscore")[0, :, : self.size, : self.size]


def _built(param, source=None):

    net = built(param)
    if source is not None:
        for name, blobs in source.params.items():
            for new, old in zip(net.params[name], blobs):
                new.data[...] = old.data
    return net


def _upsampled(param, last, f):
    """The net with bilinear upsampling by f: place i comes to pixel f·i + f/2."""
    made = type(param)()
    made.CopyFrom(param)
    classes = last.blob.shape[1]
    layer = made.layer.add(
        name="upscore", type="Deconvolution", bottom=[last.tops[0]], top=["upscore"]
    )
    p = layer.convolution_param
    p.num_output, p.group, p.bias_term = classes, classes, False
    p.kernel_size.append(2 * f - 1)
    p.stride.append(f)
    p.pad.append(f // 2 - 1)
    return made


def picture(size, seed=0):
    """A smooth random image 1×3×size×size around the mean."""
    small = np.random.RandomState(seed).randint(0, 256, (size // 16 + 2, size // 16 + 2, 3))
    image = Image.fromarray(small.astype(np.uint8)).resize((size, size), Image.BILINEAR)
    return np.asarray(image, np.float32).transpose(2, 0, 1)[None] - 110


def run(ways, repeats, clock):
    """({what was compared: how far it differs}, OrderedDict of seconds)."""
    image, f, seconds, maps = picture(ways.whole), ways.stride, OrderedDict(), []
    for label, way, times in (
        (f"shift-and-stitch, {f}×{f} passes", lambda: ways.shift_and_stitch(image, f), 1),
        ("rarefaction (à trous)", lambda: ways.rarefied(image), repeats),
        ("one pass and deconvolution", lambda: ways.upsampled(image), repeats),
    ):
        seconds[label], found = dense_grid.seconds(way, times, clock)
        maps.append(found)
    stitched, sparse, smooth = maps
    # Beyond the outermost places there is nothing to interpolate with.
    inner = slice(f // 2, ways.size - f // 2 + 1)
    stitched_inner, smooth_inner = (each[:, inner, inner] for each in (stitched, smooth))
    spread = float(np.abs(stitched).max())
    found = dict(
        rounding=float(np.abs(stitched - sparse).max()) / spread,
        interpolation=float(np.abs(stitched_inner - smooth_inner).mean()) / spread,
        same=float((stitched_inner.argmax(0) == smooth_inner.argmax(0)).mean()),
    )
    return found, seconds


def main(argv=None):
    args = _common.arguments(__doc__, {}, argv)
    clock, unit = dense_grid.start(args)
    record = _common.Record(
        "shift_and_stitch",
        "Shift-and-stitch, rarefaction, deconvolution",
        "CVPR paper §3.2 and §3.3",
        args,
    )
    if args.quick:
        nets = [("narrow VGG", vgg(((4, 1), (4, 1)), 3), fill, 2)]
    else:
        nets = [
            ("narrow VGG", vgg(), fill, 16),
            ("CamVid net", camvid(), lambda net: surgery.load(net, CAMVID), 8),
        ]
    for label, param, load, cells in nets:
        ways = Ways(param, load, cells)
        found, seconds = run(ways, 1 if args.quick else 3, clock)
        least = min(seconds.values())
        record.table(
            ["way", unit, "times the fastest"],
            [[way, f"{t:.3f}", f"{t / least:.1f}"] for way, t in seconds.items()],
            f"{label}, stride {ways.stride}, receptive field {ways.field}: scores of "
            f"{ways.size}×{ways.size} pixels. Shift-and-stitch and rarefaction differ by "
            f"{found['rounding']:.1g} of the largest score; interpolated scores by "
            f"{100 * found['interpolation']:.1f} % of it on average, and "
            f"{100 * found['same']:.0f} % of the pixels have the same best class",
        )
        record.raw[label] = dict(
            found, seconds=seconds, stride=ways.stride, field=ways.field, size=ways.size
        )
    record.write()


if __name__ == "__main__":
    main()
