"""Find faces with MTCNN's three published nets, and draw boxes and landmarks.

    python examples/mtcnn.py photo.jpg --nets MTCNN --out faces.jpg

MTCNN (Zhang et al. 2016): det1 looks at every place of an image pyramid, det2 and det3 look again
at what is left, each refines the boxes. --nets is a folder with det1, det2 and det3 as .prototxt
and .caffemodel (MTCNN_face_detection_alignment, code/codes/MTCNNv2/model). Nothing but pycaffe,
NumPy and Pillow is needed; it runs on BVLC Caffe too.

The nets were trained by MATLAB: they see RGB images with rows and columns exchanged, minus 127.5,
divided by 128.
"""

import argparse
import os
import sys

os.environ.setdefault("GLOG_minloglevel", "2")  # Caffe prints every net, layer by layer

import numpy as np
from PIL import Image, ImageDraw

import caffe

#: Smallest face that is looked for, in pixels; from one size of the pyramid to the next.
LEAST, FACTOR = 20, 0.709
#: The least probability of a face after each net, as published.
THRESHOLDS = (0.6, 0.7, 0.7)
#: What det1 sees of the image for one place of its scores, and how far the next place is.
CELL, STRIDE = 12, 2


def prepared(image):
    """(1, 3, W, H) of a Pillow image."""
    values = (np.asarray(image, np.float32) - 127.5) / 128
    return values.transpose(2, 1, 0)[np.newaxis]


def forward(net, blob):
    net.blobs["data"].reshape(*blob.shape)
    net.blobs["data"].data[...] = blob
    return {name: values.copy() for name, values in net.forward().items()}


def suppressed(boxes, most, smaller=False):
    """Indices of boxes (n, 5: left, top, right, bottom, score) that no better one overlaps by more
    than `most`, of their union or of the smaller one."""
    left, top, right, bottom, score = boxes.T
    area = (right - left + 1) * (bottom - top + 1)
    order, kept = score.argsort()[::-1], []
    while order.size:
        best, rest = order[0], order[1:]
        kept.append(best)
        width = np.minimum(right[best], right[rest]) - np.maximum(left[best], left[rest]) + 1
        height = np.minimum(bottom[best], bottom[rest]) - np.maximum(top[best], top[rest]) + 1
        common = np.maximum(width, 0) * np.maximum(height, 0)
        if smaller:
            share = common / np.minimum(area[best], area[rest])
        else:
            share = common / (area[best] + area[rest] - common)
        order = rest[share <= most]
    return np.array(kept, int)


def moved(boxes, offsets):
    """Boxes corrected by what a net says: offsets (n, 4) in widths and heights."""
    width = boxes[:, 2] - boxes[:, 0] + 1
    height = boxes[:, 3] - boxes[:, 1] + 1
    moves = offsets * np.stack([width, height, width, height], 1)
    return np.column_stack([boxes[:, :4] + moves, boxes[:, 4:]])


def squared(boxes):
    """Around the same centres, as wide as high."""
    centre = (boxes[:, :2] + boxes[:, 2:4]) / 2
    half = (boxes[:, 2:4] - boxes[:, :2]).max(1, keepdims=True) / 2
    return np.column_stack([centre - half, centre + half, boxes[:, 4:]])


def propose(net, image):
    """det1 over the pyramid: boxes (n, 5)."""
    found = [np.empty((0, 9))]
    scale = CELL / LEAST
    while min(image.size) * scale >= CELL:
        size = [int(np.ceil(length * scale)) for length in image.size]
        out = forward(net, prepared(image.resize(size, Image.BILINEAR)))
        score, offsets = out["prob1"][0, 1], out["conv4-2"][0]
        x, y = np.nonzero(score >= THRESHOLDS[0])  # the first axis is the image's columns
        corner = np.stack([x, y], 1) * STRIDE
        boxes = np.column_stack(
            [(corner + 1) / scale, (corner + CELL) / scale, score[x, y], offsets[:, x, y].T]
        )
        found.append(boxes[suppressed(boxes[:, :5], 0.5)])
        scale *= FACTOR
    boxes = np.concatenate(found)
    boxes = boxes[suppressed(boxes[:, :5], 0.7)]
    return squared(moved(boxes[:, :5], boxes[:, 5:]))


def cut(image, boxes, size):
    """What lies in the boxes, (n, 3, size, size); black beyond the image."""
    parts = []
    for box in np.rint(boxes[:, :4]).astype(int):
        part = image.crop((box[0] - 1, box[1] - 1, box[2], box[3]))
        parts.append(prepared(part.resize((size, size), Image.BILINEAR)))
    return np.concatenate(parts)


def detect(nets, image):
    """Faces of an RGB Pillow image: boxes (n, 5) with probability, landmarks (n, 5, 2), x and y."""
    nothing = np.empty((0, 5)), np.empty((0, 5, 2))
    boxes = propose(nets[0], image)
    if not len(boxes):
        return nothing
    out = forward(nets[1], cut(image, boxes, 24))
    kept = out["prob1"][:, 1] > THRESHOLDS[1]
    boxes = np.column_stack([boxes[kept, :4], out["prob1"][kept, 1]])
    offsets = out["conv5-2"][kept]
    best = suppressed(boxes, 0.7)
    boxes = squared(moved(boxes[best], offsets[best]))
    if not len(boxes):
        return nothing
    out = forward(nets[2], cut(image, boxes, 48))
    kept = out["prob1"][:, 1] > THRESHOLDS[2]
    boxes = np.column_stack([boxes[kept, :4], out["prob1"][kept, 1]])
    share = out["conv6-3"][kept].reshape(-1, 2, 5).transpose(0, 2, 1)  # x of all five, then y
    extent = boxes[:, 2:4] - boxes[:, :2] + 1
    points = boxes[:, None, :2] + share * extent[:, None] - 1
    boxes = moved(boxes, out["conv6-2"][kept])
    best = suppressed(boxes, 0.7, smaller=True)
    return boxes[best], points[best]


def load(folder):
    """det1, det2 and det3 of a folder."""
    paths = [os.path.join(folder, f"det{i}") for i in (1, 2, 3)]
    return [caffe.Net(p + ".prototxt", p + ".caffemodel", caffe.TEST) for p in paths]


def drawn(image, boxes, points):
    """A copy with a box around each face and a dot on eyes, nose and corners of the mouth."""
    image = image.copy()
    canvas = ImageDraw.Draw(image)
    thick = max(1, max(image.size) // 300)
    for box, five in zip(boxes, points):
        canvas.rectangle(box[:4].tolist(), outline=(255, 220, 0), width=thick)
        for x, y in five:
            canvas.ellipse((x - thick, y - thick, x + thick, y + thick), fill=(0, 220, 80))
    return image


def main(argv=None):
    p = argparse.ArgumentParser(allow_abbrev=False, description=__doc__.splitlines()[0])
    p.add_argument("photo")
    p.add_argument("--nets", required=True, metavar="DIR", help="det1, det2, det3")
    p.add_argument("--out", default="faces.jpg", metavar="FILE", help="default: %(default)s")
    args = p.parse_args(argv)
    with Image.open(args.photo) as file:
        image = file.convert("RGB")
    boxes, points = detect(load(args.nets), image)
    for left, top, right, bottom, share in boxes:
        print(f"face {share:.1%} at {left:.0f},{top:.0f} to {right:.0f},{bottom:.0f}")
    print(f"{len(boxes)} faces; wrote {args.out}")
    drawn(image, boxes, points).save(args.out)


if __name__ == "__main__":
    sys.exit(main())
