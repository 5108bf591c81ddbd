"""FCN-8s with VGG16 for the engine: its prototxts, with inputs instead of data, and its weights.

Narrow copies (`share` > 1) have the same layers and connections with a share of the channels, so
that a rehearsal takes little time.
"""

import os

import numpy as np
import torch
from google.protobuf import text_format
from narrow_nets import narrow

import caffe
from caffe.proto import caffe_pb2
from gpu_sections.machine import nets_path

__all__ = ["CLASSES", "VOID", "deploy_net", "pictures", "set_weights", "solver", "train_param"]
__all__ += ["net_of", "random_weights"]

CLASSES, VOID, SEED = 21, 255, 1337
EXPERIMENT = "voc-fcn8s"
#: As in solvers/voc-fcn8s.prototxt.
BASE_LR, MOMENTUM, DECAY = 1e-14, 0.99, 5e-4


def read(path, message):
    with open(path, encoding="utf-8") as stream:
        return text_format.Merge(stream.read(), message)


def train_param(height, width, share=1, experiment=EXPERIMENT, batch=1, force_backward=False):
    """The training net with an Input of pictures and labels for its data layer."""
    given = narrow(read(nets_path(experiment, "train"), caffe_pb2.NetParameter()), share)
    param = caffe_pb2.NetParameter(name=experiment, force_backward=force_backward)
    data = param.layer.add(name="input", type="Input", top=["data", "label"])
    data.input_param.shape.add(dim=[batch, 3, height, width])
    data.input_param.shape.add(dim=[batch, 1, height, width])
    param.layer.extend(layer for layer in given.layer if layer.type != "Python")
    return param


def net_of(param, folder, phase, name="net"):
    """A Net of a NetParameter."""
    path = os.path.join(folder, name + ".prototxt")
    with open(path, "w") as stream:
        stream.write(text_format.MessageToString(param))
    return caffe.Net(path, phase)


def deploy_net(height, width, folder, share=1, experiment=EXPERIMENT):
    """The deploy net, TEST."""
    param = narrow(read(nets_path(experiment, "deploy"), caffe_pb2.NetParameter()), share)
    param.layer[0].input_param.shape[0].dim[:] = [1, 3, height, width]
    return net_of(param, folder, caffe.TEST, "deploy")


def solver(param, folder, name="solver", kind="SGD", **fields):
    """A solver that trains the NetParameter, silent, without snapshots of its own accord."""
    path = os.path.join(folder, name)
    with open(path + "-net.prototxt", "w") as stream:
        stream.write(text_format.MessageToString(param))
    settings = {
        "train_net": path + "-net.prototxt",
        "type": kind,
        "base_lr": BASE_LR,
        "momentum": MOMENTUM,
        "weight_decay": DECAY,
        "lr_policy": "fixed",
        "max_iter": 1_000_000,
        "display": 0,
        "snapshot_after_train": False,
        "snapshot_prefix": path,
    }
    settings.update(fields)
    with open(path + ".prototxt", "w") as stream:
        message = caffe_pb2.SolverParameter(**settings)
        stream.write(text_format.MessageToString(message))
    return caffe.get_solver(path + ".prototxt")


def random_weights(net, seed=SEED):
    """{(layer, index): array}: He-scaled weights, small biases, bilinear upsampling; a layer of
    one channel scale (BatchNorm, Scale) keeps numbers near its usual ones."""
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for name, blobs in net.params.items():
        kind = net.layer_dict[name].type
        for index, blob in enumerate(blobs):
            shape = tuple(blob.shape)
            if kind == "Deconvolution" and index == 0:
                found[name, index] = bilinear(shape)
            elif kind == "BatchNorm":
                found[name, index] = np.ones(shape, np.float32) * (index > 0)
            elif kind == "Scale":
                near = torch.rand(shape, generator=generator) + 0.5
                found[name, index] = (near if index == 0 else near - 1).numpy()
            elif index == 0:
                fan_in = max(1, int(np.prod(shape[1:])))
                values = torch.randn(shape, generator=generator)
                found[name, index] = values.mul_((2.0 / fan_in) ** 0.5).numpy()
            else:
                found[name, index] = (torch.randn(shape, generator=generator) * 0.1).numpy()
    return found


def bilinear(shape):
    """Each channel is interpolated by itself: zero between different channels."""
    size = shape[-1]
    factor = (size + 1) // 2
    centre = factor - 1 if size % 2 else factor - 0.5
    line = 1 - np.abs(np.arange(size) - centre) / factor
    weights = np.zeros(shape, np.float32)
    if shape[1] == 1:  # by channel
        weights[:, 0] = np.outer(line, line)
        return weights
    for channel in range(min(shape[:2])):
        weights[channel, channel] = np.outer(line, line)
    return weights


def set_weights(net, weights):
    for (name, index), array in weights.items():
        net.params[name][index].data[...] = array


def pictures(height, width, count=2, classes=CLASSES, seed=SEED, batch=1):
    """(images count×batch×3×H×W, labels count×batch×1×H×W), float32; a twentieth is void."""
    rng = np.random.RandomState(seed)
    images = rng.uniform(-120, 135, (count, batch, 3, height, width)).astype(np.float32)
    labels = rng.randint(0, classes, (count, batch, 1, height, width)).astype(np.float32)
    labels[rng.uniform(size=labels.shape) < 0.05] = VOID
    return images, labels
