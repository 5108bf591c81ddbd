"""Compare whole SSD nets with OpenCV's Caffe importer.

    python tests/oracle/opencv_ssd.py [--width 1] [MODEL.prototxt MODEL.caffemodel ...]

VGG-SSD300, MobileNet-SSD and OpenCV's face detector as published (tests/ssd_nets.py), with random
parameters; --width 16 divides their channels by that. Then any published models given. Prints a
row a net, and fails if detections differ by more than TOLERANCE of the image, or in number.

VGG-SSD512 is not compared: its priors have fractional sizes, which SSD cuts off and OpenCV keeps
(boxes then differ by 0.2 % of the image).
"""

import argparse
import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
os.environ.setdefault("GLOG_minloglevel", "2")

import numpy as np
import opencv_layers
import ssd_nets

import caffe

TOLERANCE = 1e-4  # of boxes in shares of the image, and of scores
NETS = {
    "VGG-SSD300": lambda width: ssd_nets.vgg_ssd(width=width),
    "MobileNet-SSD": lambda width: ssd_nets.mobilenet_ssd(width=width),
    "face detector": lambda width: ssd_nets.face_ssd(width=width),
}


def random_files(name, width, folder, seed=0):
    """A net's files with random parameters that give scores and offsets of a sensible size, and
    an input."""
    paths = [os.path.join(folder, f"net.{ending}") for ending in ("prototxt", "caffemodel")]
    with open(paths[0], "w") as file:
        file.write(NETS[name](width))
    caffe.set_random_seed(seed)
    net = caffe.Net(paths[0], caffe.TEST)
    rng = np.random.default_rng(seed)
    for layer, blobs in net.params.items():
        if net.layer_dict[layer].type == "BatchNorm":
            mean, variance, scale = (blob.data for blob in blobs)
            mean[...] = rng.normal(0, 0.1, mean.shape)
            variance[...] = rng.uniform(0.5, 2, variance.shape)
            scale[...] = 1
    image = rng.uniform(-1, 1, net.blobs["data"].data.shape).astype(np.float32)
    net.blobs["data"].data[...] = image
    net.forward()
    for layer, blobs in net.params.items():
        if "_mbox_" in layer:
            wanted = 1.5 if "conf" in layer else 0.5
            blobs[0].data[...] *= wanted / net.blobs[layer].data.std()
    net.save(paths[1])
    return paths, image


def both(paths, image):
    """(our detections, OpenCV's), as rows in the same order."""
    net = caffe.Net(paths[0], paths[1], caffe.TEST)
    (name,) = net.inputs
    net.blobs[name].reshape(*image.shape)
    net.blobs[name].data[...] = image
    ours = next(iter(net.forward().values())).copy()
    theirs = opencv_layers.run_opencv(paths, {name: image})
    return opencv_layers.rows(ours), opencv_layers.rows(theirs)


def difference(ours, theirs):
    return np.inf if ours.shape != theirs.shape else float(np.abs(ours - theirs).max(initial=0))


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", metavar="MODEL", help="prototxt, caffemodel, ...")
    parser.add_argument("--width", type=int, default=1, help="divides the channels")
    args = parser.parse_args(argv)
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        runs = []
        for name in NETS:
            inner = tempfile.mkdtemp(dir=folder)
            runs.append((name, *random_files(name, args.width, inner)))
        for paths in zip(args.files[::2], args.files[1::2]):
            net = caffe.Net(paths[0], paths[1], caffe.TEST)
            shape = net.blobs[net.inputs[0]].data.shape
            image = np.random.default_rng(0).uniform(0, 1, shape).astype(np.float32)
            runs.append((os.path.basename(paths[0]), list(paths), image))
        for name, paths, image in runs:
            ours, theirs = both(paths, image)
            found = difference(ours, theirs)
            failed |= not found <= TOLERANCE
            print(f"{name:20} {len(ours)} detections, OpenCV {len(theirs)}, difference {found:.2g}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
