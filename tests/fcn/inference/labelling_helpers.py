"""infer.py called on the small net, and the labels that plain pycaffe gives."""

import numpy as np
from PIL import Image

import caffe
import infer
from fcn import catalog

NET = "toy-fcn8s"


def run(weights, out, *arguments, size=("--size", "native")):
    return infer.main(
        ["--net", NET, "--weights", weights, "--out", str(out), "--cpu", *size]
        + [str(a) for a in arguments]
    )


def read_label(path):
    with Image.open(path) as image:
        assert image.mode == "P"
        return np.array(image)


def expected(weights, pixels):
    """The labels by plain pycaffe, as the published infer.py does it."""
    net = caffe.Net(catalog.net_path(NET, "deploy"), weights, caffe.TEST)
    mean = np.array(catalog.experiment(NET).dataset.inputs[0].mean, np.float32)
    blob = pixels[:, :, ::-1].astype(np.float32) - mean
    net.blobs["data"].reshape(1, 3, *pixels.shape[:2])
    net.blobs["data"].data[...] = blob.transpose(2, 0, 1)
    net.forward()
    return net.blobs["score"].data[0].argmax(axis=0)


def _description(name):
    from google.protobuf import text_format

    from caffe.proto import caffe_pb2

    message = caffe_pb2.NetParameter()
    with open(catalog.net_path(name, "deploy")) as lines:
        text_format.Merge(lines.read(), message)
    return message
