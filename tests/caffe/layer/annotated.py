"""Databases of annotated pictures, and the AnnotatedData that reads them."""

import numpy as np
from harness import TEST, Rig

import caffe
from caffe.data import db
from caffe.proto import caffe_pb2

BACK, MARK = 40, 220  # of the picture and of the marked objects


def record(pixels, objects):
    """An AnnotatedDatum; objects are (label, instance, xmin, ymin, xmax, ymax, difficult)."""
    made = caffe_pb2.AnnotatedDatum(type=caffe_pb2.AnnotatedDatum.BBOX)
    made.datum.CopyFrom(caffe.io.array_to_datum(pixels))
    for label, instance, *corners, difficult in objects:
        one = made.annotation_group.add(group_label=label).annotation.add(instance_id=instance)
        for name, value in zip(("xmin", "ymin", "xmax", "ymax"), corners):
            setattr(one.bbox, name, value)
        one.bbox.difficult = bool(difficult)
    return made.SerializeToString()


def marked(height, width, boxes, channels=3):
    """A picture whose boxes (left, top, right, bottom in pixels) are bright, and the objects."""
    pixels = np.full((channels, height, width), BACK, np.uint8)
    objects = []
    for i, (left, top, right, bottom) in enumerate(boxes):
        pixels[:, top:bottom, left:right] = MARK
        objects.append(
            (i + 1, i, left / width, top / height, right / width, bottom / height, i % 2)
        )
    return pixels, objects


PICTURES = [
    marked(40, 60, [(6, 8, 30, 20), (36, 10, 54, 36)]),
    marked(50, 50, []),
    marked(30, 20, [(2, 3, 12, 21)]),
]


def make(path, pictures=PICTURES):
    with db.create(path, "lmdb") as writer:
        for n, picture in enumerate(pictures):
            writer.put(b"%03d" % n, record(*picture))
    return path


def rig(path, transform="", annotated="", phase=TEST, batch=3, tops=2):
    text = f"""type: "AnnotatedData" transform_param {{ {transform} }}
        annotated_data_param {{ {annotated} }}
        data_param {{ source: "{path}" backend: LMDB batch_size: {batch} }}"""
    return Rig(text, tops=tops, phase=phase)


RESIZE = "resize_param { height: 30 width: 40 }"


def check_objects(data, rows, slack):
    """Each object's box encloses what is bright of it, to within ``slack`` of the picture."""
    _, _, height, width = data.shape
    for item, _, _, xmin, ymin, xmax, ymax, _ in rows:
        if item < 0:
            continue
        bright = data[int(item)].mean(0) > (BACK + MARK) / 2
        y, x = (np.arange(n) + 0.5 for n in (height, width))
        inside = np.outer(
            (y > (ymin + slack) * height) & (y < (ymax - slack) * height),
            (x > (xmin + slack) * width) & (x < (xmax - slack) * width),
        )
        assert bright[inside].all()
