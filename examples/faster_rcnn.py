"""Find objects with Faster R-CNN or R-FCN, and draw their boxes.

    python examples/faster_rcnn.py photo.jpg --net test.prototxt --weights x.caffemodel --out o.jpg

The nets are py-faster-rcnn's (models/pascal_voc/*/faster_rcnn_end2end/test.prototxt) and
py-R-FCN's, with the weights that were published with them. They name the Python layer
rpn.proposal_layer; the engine has its own where that module is not there. Other classes than
those of PASCAL VOC: --labels, a file with a name a line, background first.
"""

import argparse
import os
import sys

os.environ.setdefault("GLOG_minloglevel", "2")  # Caffe prints every net, layer by layer

import numpy as np
from PIL import Image, ImageDraw

import caffe

VOC = (
    "background aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse "
    "motorbike person pottedplant sheep sofa train tvmonitor"
).split()
#: Of B, G, R, as the nets were trained; the shorter side that pictures get, the longest allowed.
MEAN, SHORTER, LONGEST = np.array([102.9801, 115.9465, 122.7717], np.float32), 600, 1000


def prepared(image, shorter=SHORTER):
    """An RGB Pillow image as (1, 3, H, W), and the factor of its size."""
    scale = shorter / min(image.size)
    scale = min(scale, LONGEST / max(image.size))
    size = [max(1, round(n * scale)) for n in image.size]
    pixels = np.asarray(image.resize(size, Image.BILINEAR), np.float32)[:, :, ::-1] - MEAN
    return pixels.transpose(2, 0, 1)[np.newaxis], scale


def moved(boxes, deltas):
    """Boxes (R, 4) moved by deltas (R, 4 K): of the centre in widths and heights, and of the
    logarithms of width and height. (R, K, 4)."""
    size = boxes[:, 2:] - boxes[:, :2] + 1
    centre = boxes[:, :2] + size / 2
    deltas = deltas.reshape(len(boxes), -1, 4)
    centre = centre[:, None] + deltas[:, :, :2] * size[:, None]
    half = np.exp(deltas[:, :, 2:]) * size[:, None] / 2
    return np.concatenate([centre - half, centre + half], 2)


def suppressed(boxes, scores, most):
    """Indices of boxes (n, 4) that no better one overlaps by more than `most` of their union."""
    left, top, right, bottom = boxes.T
    area = (right - left + 1) * (bottom - top + 1)
    order, kept = scores.argsort()[::-1], []
    while order.size:
        best, rest = order[0], order[1:]
        kept.append(best)
        width = np.minimum(right[best], right[rest]) - np.maximum(left[best], left[rest]) + 1
        height = np.minimum(bottom[best], bottom[rest]) - np.maximum(top[best], top[rest]) + 1
        common = np.maximum(width, 0) * np.maximum(height, 0)
        order = rest[common / (area[best] + area[rest] - common) <= most]
    return np.array(kept, int)


def detect(net, image, least=0.8, overlap=0.3, shorter=SHORTER):
    """Objects of an RGB Pillow image: rows (class, score, left, top, right, bottom)."""
    data, scale = prepared(image, shorter)
    net.blobs["data"].reshape(*data.shape)
    net.blobs["im_info"].reshape(1, 3)
    net.blobs["data"].data[...] = data
    net.blobs["im_info"].data[...] = [*data.shape[2:], scale]
    net.forward()
    scores = net.blobs["cls_prob"].data
    scores = scores.reshape(len(scores), -1)
    last = "bbox_pred_reshape" if "bbox_pred_reshape" in net.blobs else "bbox_pred"
    boxes = moved(net.blobs["rois"].data[:, 1:] / scale, net.blobs[last].data)
    boxes = np.clip(boxes, 0, [image.width - 1, image.height - 1] * 2)
    found = [np.empty((0, 6))]
    for kind in range(1, scores.shape[1]):
        of_kind = boxes[:, min(kind, boxes.shape[1] - 1)]  # R-FCN: one box for all classes
        kept = np.flatnonzero(scores[:, kind] >= least)
        best = kept[suppressed(of_kind[kept], scores[kept, kind], overlap)]
        rows = [np.full(len(best), kind), scores[best, kind], *of_kind[best].T]
        found.append(np.column_stack(rows))
    return np.concatenate(found)


def drawn(image, objects, names):
    """A copy with a box and a name for each object."""
    image = image.copy()
    canvas = ImageDraw.Draw(image)
    thick = max(1, max(image.size) // 300)
    for kind, score, *box in objects:
        canvas.rectangle(box, outline=(255, 220, 0), width=thick)
        canvas.text((box[0] + thick + 1, box[1]), f"{names[int(kind)]} {score:.0%}", (255, 220, 0))
    return image


def main(argv=None):
    p = argparse.ArgumentParser(allow_abbrev=False, description=__doc__.splitlines()[0])
    p.add_argument("photo")
    p.add_argument("--net", required=True, metavar="PROTOTXT")
    p.add_argument("--weights", required=True, metavar="CAFFEMODEL")
    p.add_argument("--labels", metavar="FILE", help="a name a line (default: PASCAL VOC's)")
    p.add_argument("--least", type=float, default=0.8, help="score (default: %(default)s)")
    p.add_argument("--shorter", type=int, default=SHORTER, help="side (default: %(default)s)")
    p.add_argument("--out", default="objects.jpg", metavar="FILE", help="default: %(default)s")
    args = p.parse_args(argv)
    names = VOC
    if args.labels:
        with open(args.labels, encoding="utf-8") as file:
            names = file.read().splitlines()
    with Image.open(args.photo) as file:
        image = file.convert("RGB")
    net = caffe.Net(args.net, args.weights, caffe.TEST)
    objects = detect(net, image, args.least, shorter=args.shorter)
    count = net.blobs["cls_prob"].data.reshape(len(net.blobs["rois"].data), -1).shape[1]
    if count > len(names):
        p.error(f"the net has {count} classes, --labels has {len(names)} names")
    for kind, score, left, top, right, bottom in objects:
        where = f"{left:.0f},{top:.0f} to {right:.0f},{bottom:.0f}"
        print(f"{names[int(kind)]} {score:.1%} at {where}")
    drawn(image, objects, names).save(args.out)
    print(f"{len(objects)} objects; wrote {args.out}")


if __name__ == "__main__":
    sys.exit(main())
