"""Classifier, Detector and draw under either program, on one small net.

    python pycaffe_runner.py FOLDER OUT

Reads FOLDER/net.prototxt, FOLDER/net.caffemodel and FOLDER/*.png; writes arrays to OUT.npz and the
texts of draw to OUT.json. The images are loaded here: BVLC's load_image needs an old scikit-image,
and its crop with context an old NumPy, which let floats be the ends of slices (`Floating`).
"""

import glob
import json
import os
import sys

import numpy as np
from google.protobuf import text_format
from PIL import Image

import caffe
import caffe.draw

MEAN_IMAGE = np.linspace(20, 140, 3 * 12 * 12).reshape(3, 12, 12)
CLASSIFIERS = {
    "plain": {},
    "scaled": dict(raw_scale=255.0, mean=np.array([104.0, 117.0, 123.0]), input_scale=0.02),
    "as published": dict(
        image_dims=(20, 17),
        raw_scale=255.0,
        channel_swap=(2, 1, 0),
        mean=np.array([104.0, 117.0, 123.0]),
    ),
    "mean image": dict(image_dims=[16, 16], mean=MEAN_IMAGE / 255, channel_swap=(2, 1, 0)),
    "odd margins": dict(image_dims=(15, 18)),
}
DETECTORS = {
    "windows": dict(raw_scale=255.0, mean=np.array([104.0, 117.0, 123.0]), channel_swap=(2, 1, 0)),
    "context": dict(
        raw_scale=255.0, mean=np.array([104.0, 117.0, 123.0]), channel_swap=(2, 1, 0), context_pad=2
    ),
    "mean image": dict(raw_scale=255.0, mean=MEAN_IMAGE, channel_swap=(2, 0, 1), context_pad=3),
    "no mean": dict(context_pad=4),
}
WINDOWS = [(2, 3, 14, 17), (0, 0, 9, 9), (0, 5, 6, 23), (10, 1, 18, 8), (4, 12, 19, 24)]

GRAPHS = [("LR", True, False), ("TB", True, True), ("BT", False, False)]
DRAWN = """
name: "drawn"
layer { name: "data" type: "Data" top: "data" top: "label" data_param { batch_size: 5 }
        include { phase: TRAIN } }
layer { name: "data" type: "Input" top: "data" include { phase: TEST } }
layer { name: "conv1/a" type: "Convolution" bottom: "data" top: "conv1/a" param { lr_mult: 3 }
        convolution_param { num_output: 6 kernel_size: 5 kernel_size: 3 stride: 2 pad: 1 } }
layer { name: "relu" type: "ReLU" bottom: "conv1/a" top: "conv1/a" }
layer { name: "drop" type: "Dropout" bottom: "conv1/a" top: "conv1/a" exclude { phase: TEST } }
layer { name: "pool" type: "Pooling" bottom: "conv1/a" top: "pool"
        pooling_param { pool: AVE kernel_size: 3 stride: 2 } }
layer { name: "up" type: "Deconvolution" bottom: "pool" top: "up" param { lr_mult: 0 }
        param { lr_mult: 2 } convolution_param { num_output: 4 kernel_h: 3 kernel_w: 5 } }
layer { name: "fuse" type: "Eltwise" bottom: "up" bottom: "conv1/a" top: "fuse" }
layer { name: "ip" type: "InnerProduct" bottom: "fuse" top: "ip"
        inner_product_param { num_output: 7 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss"
        include { phase: TRAIN } }
layer { name: "silence" type: "Silence" bottom: "pool" }
"""


class Floating(np.ndarray):
    """An array whose slices may end at whole floats, as in the NumPy that Detector was made for."""

    def __getitem__(self, index):
        return super().__getitem__(whole(index))

    def __setitem__(self, index, value):
        super().__setitem__(whole(index), value)


def whole(index):
    if isinstance(index, tuple):
        return tuple(whole(part) for part in index)
    if isinstance(index, slice):
        ends = [None if end is None else int(end) for end in (index.start, index.stop, index.step)]
        return slice(*ends)
    return index


def load_image(path, color=True):
    with Image.open(path) as image:
        return (np.asarray(image.convert("RGB"), np.float32) / 255).view(Floating)


def classify(model, images):
    for name, options in CLASSIFIERS.items():
        net = caffe.Classifier(*model, **options)
        for oversample in (True, False):
            key = "Classifier, {}, {}".format(name, "ten crops" if oversample else "centre")
            yield key, net.predict([image.copy() for image in images], oversample)


def detect(model, paths):
    caffe.io.load_image = load_image
    for name, options in DETECTORS.items():
        net = caffe.Detector(*model, **options)
        if net.context_pad:
            net.crop_mean = net.crop_mean.view(Floating)
            yield f"Detector, {name}, mean of crops", np.asarray(net.crop_mean)
        yield f"Detector, {name}, shape of crops", np.asarray(net.crop_dims)
        windows = np.array(WINDOWS, float if net.context_pad else int)
        if net.context_pad:
            crops = [net.crop(load_image(paths[0]), window) for window in windows]
            yield f"Detector, {name}, crops", np.stack(crops)
        found = net.detect_windows([(path, windows) for path in paths])
        yield f"Detector, {name}", np.array([d["prediction"] for d in found])
        yield f"Detector, {name}, windows", np.array([d["window"] for d in found])
        assert [d["filename"] for d in found] == [path for path in paths for _ in windows]


def plain(text):
    return str(text).strip('"')


def draw():
    net = text_format.Merge(DRAWN, caffe.proto.caffe_pb2.NetParameter())
    found = {}
    for layer in net.layer:
        for rankdir in ("LR", "TB", "RL", "BT"):
            for rates in (False, True):
                key = f"label of {layer.name} ({layer.type}), {rankdir}, {rates}"
                found[key] = caffe.draw.get_layer_label(layer, rankdir, rates)
        found[f"edge of {layer.name}"] = str(caffe.draw.get_edge_label(layer))
        found[f"color of {layer.type}"] = caffe.draw.choose_color_by_layertype(layer.type)
        try:
            found[f"rates of {layer.name}"] = list(caffe.draw.get_layer_lr_mult(layer))
        except ValueError as error:
            found[f"rates of {layer.name}"] = str(error)
    found["pooling"] = {str(k): v for k, v in caffe.draw.get_pooling_types_dict().items()}
    for style in ("BLOB_STYLE", "LAYER_STYLE_DEFAULT", "NEURON_LAYER_STYLE"):
        found[style] = getattr(caffe.draw, style)
    for phase in (None, caffe.TRAIN, caffe.TEST):
        for rankdir, labels, rates in GRAPHS:
            graph = caffe.draw.get_pydot_graph(net, rankdir, labels, phase, rates)
            found[f"graph, phase {phase}, {rankdir}, {labels}, {rates}"] = {
                "name": plain(graph.get_name()),
                "rankdir": graph.get_rankdir(),
                "nodes": sorted(
                    [plain(n.get_name()), n.get_shape(), plain(n.get_fillcolor())]
                    for n in graph.get_nodes()
                ),
                "edges": sorted(
                    [plain(e.get_source()), plain(e.get_destination()), plain(e.get_label())]
                    for e in graph.get_edges()
                ),
            }
    return found


def main():
    folder, out = sys.argv[1:]
    model = [os.path.join(folder, "net.prototxt"), os.path.join(folder, "net.caffemodel")]
    paths = sorted(glob.glob(os.path.join(folder, "*.png")))
    images = [np.asarray(load_image(path)) for path in paths]
    arrays = dict(classify(model, images))
    arrays.update(detect(model, paths))
    np.savez(out + ".npz", **arrays)
    with open(out + ".json", "w") as stream:
        engine = getattr(caffe, "__engine__", "BVLC Caffe " + caffe.__version__)
        json.dump({"engine": engine, "draw": draw()}, stream)


if __name__ == "__main__":
    main()
