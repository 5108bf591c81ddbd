"""voc-fcn8s on one real VOC image: train, score and infer, as a check of the formats.

    python benchmarks/voc_sample.py --image 2007_000129.jpg --label 2007_000129.png [--steps 2]

The weights are made up (He-scaled random numbers), so the scores mean nothing; what counts is that
the published net's own train, val and deploy prototxts run on an image in the datasets' true
formats, from a caffemodel of full size. Works in a temporary folder: 4 GB of disk, 5 GB of memory.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile

os.environ.setdefault("GLOG_minloglevel", "2")
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir)
sys.path.insert(0, ROOT)
import numpy as np  # noqa: E402
import scipy.io  # noqa: E402
from PIL import Image  # noqa: E402

import bootstrap  # noqa: E402
import caffe  # noqa: E402

NAME = "voc-fcn8s"


def lay_out(image, label, folder):
    """One image as SBD (.mat labels) for training and as VOC 2011 for validation."""
    ident = os.path.splitext(os.path.basename(image))[0]
    sbd, voc = os.path.join(folder, "sbd"), os.path.join(folder, "VOC2011")
    for path in ("img", "cls"):
        os.makedirs(os.path.join(sbd, path))
    for path in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        os.makedirs(os.path.join(voc, path))
    shutil.copy(image, os.path.join(sbd, "img"))
    shutil.copy(image, os.path.join(voc, "JPEGImages"))
    shutil.copy(label, os.path.join(voc, "SegmentationClass"))
    classes = np.array(Image.open(label, formats=("PNG",)))
    cell = np.empty((1, 1), dtype=[("Segmentation", object)])
    cell[0, 0]["Segmentation"] = classes
    scipy.io.savemat(os.path.join(sbd, "cls", ident + ".mat"), {"GTcls": cell})
    for path in (
        os.path.join(sbd, "train.txt"),
        os.path.join(voc, "ImageSets/Segmentation/seg11valid.txt"),
    ):
        with open(path, "w") as f:
            f.write(ident + "\n")
    return sbd, voc


def make_weights(path):
    """A caffemodel of the net's shapes: He-scaled random numbers, as good as nothing."""
    net = caffe.Net(os.path.join(bootstrap.ROOT, "nets", NAME, "deploy.prototxt"), caffe.TEST)
    rng = np.random.RandomState(0)
    for name, blobs in net.params.items():
        if "up" in name:
            continue
        weight = blobs[0].data
        weight[...] = rng.standard_normal(weight.shape) * (2 / weight[0].size) ** 0.5
    net.save(path)


def run(*command):
    print("$", " ".join(os.path.basename(c) for c in command), flush=True)
    subprocess.run([sys.executable, *command], check=True, cwd=bootstrap.ROOT)


def main():
    p = argparse.ArgumentParser(allow_abbrev=False, description=__doc__.splitlines()[0])
    p.add_argument("--image", required=True, type=os.path.abspath)
    p.add_argument("--label", required=True, type=os.path.abspath)
    p.add_argument("--steps", default="2")
    args = p.parse_args()
    print(getattr(caffe, "__engine__", "BVLC Caffe " + caffe.__version__))
    with tempfile.TemporaryDirectory() as folder:
        sbd, voc = lay_out(args.image, args.label, folder)
        weights, out = os.path.join(folder, "made-up.caffemodel"), os.path.join(folder, "out")
        make_weights(weights)
        run(
            f"nets/{NAME}/solve.py",
            "--weights",
            weights,
            "--data",
            sbd,
            voc,
            "--steps",
            args.steps,
            "--out",
            out,
        )
        run(
            "infer.py",
            args.image,
            "--net",
            NAME,
            "--weights",
            os.path.join(out, NAME + ".caffemodel"),
            "--out",
            out,
        )
        pictures = sorted(f for f in os.listdir(out) if f.endswith((".png", ".jpg")))
        for name in pictures:
            print(name, Image.open(os.path.join(out, name), formats=("PNG", "JPEG")).size)
        if len(pictures) != 2:
            sys.exit("expected a label map and an overlay")


if __name__ == "__main__":
    main()
