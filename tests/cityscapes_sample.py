"""A small folder as score_cityscapes.py wants it: label maps, generated photos, a random FCN-8s."""

import os

import numpy as np
from fcn_helpers import read_net
from PIL import Image

import caffe
from fcn.prototxt import to_text

SIZE = (67, 44)  # width and height of the label maps
IDS = (7, 8, 11, 17, 23, 24, 26, 33, 0, 4)  # of the labels drawn; 0 and 4 are not scored
NAMES = ("lindau_000000_000019", "munster_000002_000019", "munster_000011_000019")


def small_fcn8s(classes=19):
    """The deploy net of a narrow FCN-8s: the toy dataset's, with as many scores as asked for."""
    net = read_net("toy-fcn8s", "deploy")
    (score_fr,) = [layer for layer in net.layer if layer.name == "score_fr"]
    own = score_fr.convolution_param.num_output
    for layer in net.layer:
        param = layer.convolution_param
        if layer.type in ("Convolution", "Deconvolution") and param.num_output == own:
            param.num_output = classes
            if param.group == own:
                param.group = classes
    return net


def save_random_weights(deploy, path, seed):
    """Weights that make the scores differ from pixel to pixel and class to class."""
    net = caffe.Net(deploy, caffe.TEST)
    rng = np.random.RandomState(seed)
    for name, layer in zip(net._layer_names, net.layers):
        blobs = layer.blobs
        if layer.type == "BatchNorm":  # mean 0, variance 1
            blobs[0].data[...], blobs[1].data[...], blobs[2].data[...] = 0, 1, 1
        elif layer.type == "Convolution":
            shape = blobs[0].data.shape
            std = 0.5 if name.startswith("score") else (2.0 / np.prod(shape[1:])) ** 0.5
            values = rng.normal(0, std, shape)
            # Their inputs are positive: without this the same classes would win everywhere.
            blobs[0].data[...] = values - values.mean(axis=1, keepdims=True)
    net.save(path)


def make_sample(folder, seed=7):
    """Write everything below `folder`; returns the arguments for the script, but --output-dir."""
    deploy = os.path.join(folder, "deploy.prototxt")
    weights = os.path.join(folder, "fcn8s.caffemodel")
    with open(deploy, "w") as f:
        f.write(to_text(small_fcn8s()))
    save_random_weights(deploy, weights, seed)
    rng = np.random.RandomState(seed)
    results = os.path.join(folder, "results")
    os.mkdir(results)
    for name in NAMES:
        city = os.path.join(folder, "gtFine", "val", name.split("_")[0])
        os.makedirs(city, exist_ok=True)
        blocks = rng.choice(IDS, (6, 8)).astype(np.uint8)
        label = Image.fromarray(blocks).resize(SIZE, Image.NEAREST)
        label.save(os.path.join(city, name + "_gtFine_labelIds.png"))
        photo = Image.fromarray(rng.randint(0, 256, (8, 11, 3)).astype(np.uint8))
        photo = photo.resize((SIZE[0] // 2, SIZE[1] // 2), Image.BICUBIC)  # as generators make them
        photo.save(os.path.join(results, name + "_leftImg8bit.png"))
    return [
        "--cityscapes-dir",
        folder,
        "--result-dir",
        results,
        "--deploy",
        deploy,
        "--weights",
        weights,
    ]
