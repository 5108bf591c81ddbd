"""Score generated Cityscapes photos with an FCN-8s: how well does it find again what they show?

    python examples/score_cityscapes.py --cityscapes-dir cityscapes --result-dir results \\
        --deploy deploy.prototxt --weights fcn-8s-cityscapes.caffemodel --split val

Papers on image synthesis (pix2pix, CycleGAN and what followed) measure photos that a generator made
of label maps in this way: a segmentation net, trained on real photos, labels them, and its labels
are compared with the maps they were made of. This is a script of that kind, written as such scripts
are: it needs nothing but pycaffe, NumPy and Pillow, and runs on BVLC Caffe too.

For every label map gtFine/SPLIT/CITY/NAME_gtFine_labelIds.png (or …_labelTrainIds.png) of the
Cityscapes folder the photo RESULT_DIR/NAME_leftImg8bit.png is scaled to the map's size and
labelled. Prints the measures and writes them to OUTPUT_DIR/evaluation_results.txt.
"""

import argparse
import glob
import os
import sys

os.environ.setdefault("GLOG_minloglevel", "2")  # Caffe prints every net, layer by layer

import numpy as np
from PIL import Image

import caffe

# The 19 classes that are scored, in the order of their trainId: name and id.
CLASSES = (
    ("road", 7),
    ("sidewalk", 8),
    ("building", 11),
    ("wall", 12),
    ("fence", 13),
    ("pole", 17),
    ("traffic light", 19),
    ("traffic sign", 20),
    ("vegetation", 21),
    ("terrain", 22),
    ("sky", 23),
    ("person", 24),
    ("rider", 25),
    ("car", 26),
    ("truck", 27),
    ("bus", 28),
    ("train", 31),
    ("motorcycle", 32),
    ("bicycle", 33),
)
IGNORE = 255
MEAN = "72.78044,83.21195,73.45286"  # of the photos that the published net saw, BGR


def label_names(folder, split):
    """Names CITY_SEQUENCE_FRAME of the label maps, in order."""
    maps = glob.glob(os.path.join(folder, "gtFine", split, "*", "*_gtFine_label*Ids.png"))
    return sorted({os.path.basename(path).split("_gtFine_")[0] for path in maps})


def load_label(folder, split, name):
    """The label map as trainIds, (H, W) uint8; 255 where a pixel does not count."""
    stem = os.path.join(folder, "gtFine", split, name.split("_")[0], name + "_gtFine_")
    if os.path.exists(stem + "labelTrainIds.png"):
        return read(stem + "labelTrainIds.png")
    table = np.full(256, IGNORE, np.uint8)
    for train_id, (_, label_id) in enumerate(CLASSES):
        table[label_id] = train_id
    return table[read(stem + "labelIds.png")]


def read(path):
    with Image.open(path, formats=("PNG",)) as image:
        return np.array(image, np.uint8)


def load_photo(folder, name, size):
    """The generated photo as RGB, scaled to `size` (width, height): (H, W, 3) uint8."""
    with Image.open(os.path.join(folder, name + "_leftImg8bit.png"), formats=("PNG",)) as image:
        return np.array(image.convert("RGB").resize(size, Image.BICUBIC))


def preprocess(photo, mean):
    """What the net is fed: BGR minus the mean, channels first, float32."""
    pixels = np.array(photo, dtype=np.float32)[:, :, ::-1]
    return (pixels - mean).transpose((2, 0, 1))


def segment(net, pixels):
    """The net's label map (H, W) of one photo; the net takes the photo's size."""
    net.blobs["data"].reshape(1, *pixels.shape)
    net.blobs["data"].data[...] = pixels
    net.forward()
    return net.blobs[net.outputs[0]].data[0].argmax(axis=0)


def fast_hist(a, b, n):
    """How often each truth `a` (rows) met each prediction `b`, where the truth is a class."""
    k = (a >= 0) & (a < n)
    return np.bincount(n * a[k].astype(int) + b[k], minlength=n**2).reshape(n, n)


def get_scores(hist):
    """Pixel accuracy, means over the classes that occur, accuracy and IoU of each class."""
    with np.errstate(divide="ignore", invalid="ignore"):
        acc = np.diag(hist) / hist.sum(1)
        iou = np.diag(hist) / (hist.sum(1) + hist.sum(0) - np.diag(hist))
        pixels = np.diag(hist).sum() / hist.sum()
    return pixels, np.nanmean(acc), np.nanmean(iou), acc, iou


def report(hist):
    """The lines of evaluation_results.txt."""
    pixels, mean_acc, mean_iou, acc, iou = get_scores(hist)
    yield f"Mean pixel accuracy: {pixels:f}"
    yield f"Mean class accuracy: {mean_acc:f}"
    yield f"Mean class IoU: {mean_iou:f}"
    yield "************ Per class numbers below ************"
    for i, (name, _) in enumerate(CLASSES):
        yield f"{name:<15}: acc = {acc[i]:f}, iou = {iou[i]:f}"


def parse(arguments):
    parser = argparse.ArgumentParser(allow_abbrev=False, description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--cityscapes-dir", required=True, help="the folder that holds gtFine")
    add("--result-dir", required=True, help="the generated photos, NAME_leftImg8bit.png")
    add("--deploy", required=True, help="the FCN-8s's deploy prototxt: data in, 19 scores out")
    add("--weights", required=True, help="its caffemodel")
    add("--output-dir", default=".", help="where the results go (default: here)")
    add("--split", default="val", help="(default: %(default)s)")
    add("--mean", default=MEAN, help="mean of blue, green and red (default: %(default)s)")
    add("--gpu", type=int, metavar="N", help="the GPU to use (default: the CPU)")
    return parser.parse_args(arguments)


def main(arguments=None):
    args = parse(arguments)
    names = label_names(args.cityscapes_dir, args.split)
    if not names:
        sys.exit(f"no label maps below {args.cityscapes_dir}/gtFine/{args.split}")
    if args.gpu is None:
        caffe.set_mode_cpu()
    else:
        caffe.set_device(args.gpu)
        caffe.set_mode_gpu()
    net = caffe.Net(args.deploy, args.weights, caffe.TEST)
    mean = np.array([float(value) for value in args.mean.split(",")], dtype=np.float32)

    hist = np.zeros((len(CLASSES), len(CLASSES)), dtype=np.int64)
    for i, name in enumerate(names):
        if i % 10 == 0:
            print(f"Evaluating: {i}/{len(names)}", flush=True)
        label = load_label(args.cityscapes_dir, args.split, name)
        photo = load_photo(args.result_dir, name, label.shape[::-1])
        found = segment(net, preprocess(photo, mean))
        hist += fast_hist(label.flatten(), found.flatten(), len(CLASSES))

    lines = list(report(hist))
    os.makedirs(args.output_dir, exist_ok=True)
    with open(os.path.join(args.output_dir, "evaluation_results.txt"), "w") as f:
        f.write("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
