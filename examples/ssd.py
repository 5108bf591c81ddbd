"""Detect objects with an SSD net, and draw boxes.

    python examples/ssd.py photo.jpg --net deploy.prototxt --weights ssd.caffemodel \\
        --mean 104,117,123 --labels labelmap_voc.prototxt --out boxes.jpg

The net ends with a DetectionOutput: VGG-SSD, MobileNet-SSD (--mean 127.5 --scale 0.007843),
OpenCV's face detector (--mean 104,177,123), WeChat's code detector (--scale 0.00392). The picture
is stretched to the size that the net's input has. --labels is SSD's label map, or a text file with
a name a line, the background's first. Nothing but pycaffe, NumPy and Pillow is needed; it runs on
the SSD fork of Caffe too.
"""

import argparse
import os
import re
import sys

os.environ.setdefault("GLOG_minloglevel", "2")  # Caffe prints every net, layer by layer

import numpy as np
from PIL import Image, ImageDraw

import caffe


def prepared(image, shape, mean, scale):
    """(1, C, H, W) of a Pillow image: B, G, R or grey, minus the mean, times the scale."""
    channels, height, width = shape
    if channels not in (1, 3):
        raise SystemExit(f"the net's input has {channels} channels: expected 1 (grey) or 3 (B G R)")
    image = image.convert("L" if channels == 1 else "RGB").resize((width, height), Image.BILINEAR)
    values = np.asarray(image, np.float32).reshape(height, width, channels)[:, :, ::-1]
    if len(mean) not in (1, channels):
        raise SystemExit(f"--mean takes 1 number or {channels}, got {len(mean)}")
    return ((values - np.float32(mean)) * np.float32(scale)).transpose(2, 0, 1)[np.newaxis]


def detect(net, image, mean=(0,), scale=1.0):
    """Detections of a Pillow image, best first: (n, 6), label, score, and left, top, right, bottom
    in pixels."""
    (name,) = net.inputs
    net.blobs[name].data[...] = prepared(image, net.blobs[name].data.shape[1:], mean, scale)
    outputs = [out for out in net.forward().values() if out.ndim == 4 and out.shape[-1] == 7]
    if len(outputs) != 1:
        raise SystemExit("the net has no DetectionOutput layer at its end: take the deploy form")
    rows = outputs[0].reshape(-1, 7)
    rows = rows[rows[:, 1] >= 0]  # -1: nothing was found
    rows = rows[np.argsort(-rows[:, 2], kind="stable")]
    boxes = rows[:, 3:].clip(0, 1) * (image.size * 2)
    return np.column_stack([rows[:, 1:3], boxes])


def names_of(path):
    """Names by label, from SSD's label map or a text file."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    items = re.findall(r"item\s*{([^}]*)}", text)
    if not items:
        return dict(enumerate(text.split("\n")))
    names = {}
    for item in items:
        fields = dict(re.findall(r'(\w+)\s*:\s*("[^"]*"|\S+)', item))
        fields = {field: value.strip('"') for field, value in fields.items()}
        names[int(fields["label"])] = fields.get("display_name") or fields["name"]
    return names


def drawn(image, found, names):
    """A copy with a box and a word for each detection."""
    image = image.convert("RGB")
    canvas = ImageDraw.Draw(image)
    thick = max(1, max(image.size) // 300)
    for label, score, *box in found:
        red, green, blue = ((int(label) * k) % 200 + 55 for k in (37, 151, 89))
        canvas.rectangle(box, outline=(red, green, blue), width=thick)
        word = names.get(int(label), str(int(label)))
        canvas.text((box[0] + 2, box[1] + 2), f"{word} {score:.0%}", fill=(red, green, blue))
    return image


def numbers(text):
    return [float(word) for word in text.split(",")]


def main(argv=None):
    p = argparse.ArgumentParser(allow_abbrev=False, description=__doc__.splitlines()[0])
    p.add_argument("photo")
    p.add_argument("--net", required=True, metavar="PROTOTXT")
    p.add_argument("--weights", required=True, metavar="CAFFEMODEL")
    p.add_argument("--mean", type=numbers, default=[0.0], help="one number, or B,G,R; default: 0")
    p.add_argument("--scale", type=float, default=1.0, help="after the mean; default: %(default)s")
    p.add_argument("--labels", metavar="FILE", help="label map, or a name a line")
    p.add_argument("--least", type=float, default=0.5, help="score; default: %(default)s")
    p.add_argument("--out", default="boxes.jpg", metavar="FILE", help="default: %(default)s")
    args = p.parse_args(argv)
    names = names_of(args.labels) if args.labels else {}
    with Image.open(args.photo) as file:
        image = file.convert("RGB")
    net = caffe.Net(args.net, args.weights, caffe.TEST)
    found = detect(net, image, args.mean, args.scale)
    found = found[found[:, 1] >= args.least]
    for label, score, left, top, right, bottom in found:
        word = names.get(int(label), f"label {int(label)}")
        print(f"{word} {score:.1%} at {left:.0f},{top:.0f} to {right:.0f},{bottom:.0f}")
    drawn(image, found, names).save(args.out)
    print(f"{len(found)} objects; wrote {args.out}")


if __name__ == "__main__":
    sys.exit(main())
