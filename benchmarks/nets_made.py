"""Make what nets_speed.py measures: nets, weights, inputs, a training net and a solver for each.

    python nets_made.py WORK_DIR [NET…]

Runs under the engine. Without names it makes what it is asked for on its standard input, one JSON
line each ({"net": NET}), and answers a line "ANSWER " and JSON. WORK_DIR/NET then holds
deploy.prototxt, weights.caffemodel, inputs.npy (two batches), train.prototxt, solver.prototxt,
train_inputs.npy, labels.npy, and for PyTorch, which reads no Caffe files, layers.json and one .npy
a parameter; with `caffe export` also net.onnx.
"""

import importlib.util
import json
import os
import sys
import time
from collections import namedtuple

os.environ.setdefault("GLOG_minloglevel", "2")

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
CHECKOUT = os.path.dirname(HERE)
sys.path[:0] = [CHECKOUT, os.path.join(CHECKOUT, "tests", "oracle")]
SEED = 1337

# What it is built from, the batches of the forward pass and of the training step, and about how
# many seconds the engine's forward pass takes on two cores: what takes long is measured last.
Made = namedtuple("Made", "origin batch train_batch seconds")
NETS = {
    "lenet": Made("lenet", 1, 1, 0.0005),
    "lenet-64": Made("lenet", 64, 64, 0.004),
    "cifar10-full": Made("cifar10-full", 1, 100, 0.0008),
    "squeezenet1.1": Made("squeezenet1.1", 1, 4, 0.006),
    "mobilenet1": Made("mobilenet1", 1, 4, 0.01),
    "mobilenet2": Made("mobilenet2", 1, 4, 0.01),
    "alexnet": Made("alexnet", 1, 4, 0.02),
    "googlenet": Made("googlenet", 1, 4, 0.025),
    "resnet50": Made("resnet50", 1, 2, 0.05),
    "vgg16": Made("vgg16", 1, 1, 0.2),
    "fcn8s": Made("nets/voc-fcn8s", 1, 1, 0.75),
    "voc-fcn4s-lite0": Made("nets/voc-fcn4s-lite0", 1, 1, 0.05),
    "camvid-fcn8s": Made("nets/camvid-fcn8s", 1, 1, 0.025),
    "membrane-unet": Made("nets/membrane-unet", 1, 1, 2.5),
}
SOLVER = (
    'train_net: "{}" base_lr: 1e-6 momentum: 0.9 weight_decay: 0.0005 lr_policy: "fixed" '
    "display: 0 max_iter: 1000000 snapshot_after_train: false\n"
)


def deploy_of(origin, batch):
    """The NetParameter of a net for inference."""
    from google.protobuf import text_format

    from caffe.proto import caffe_pb2

    if origin.startswith("nets/"):
        net = caffe_pb2.NetParameter()
        with open(os.path.join(CHECKOUT, origin, "deploy.prototxt")) as stream:
            text_format.Merge(stream.read(), net)
    else:
        import bootstrap  # noqa: F401  # the paths of the published classifiers' builders
        from nets import classifiers

        net = classifiers.build(origin, "deploy")
    for layer in net.layer:
        for shape in layer.input_param.shape:
            shape.dim[0] = batch
    return net


def training_of(deploy, batch, top, shape):
    """The same layers under a loss: labels of the last blob's positions."""
    net = type(deploy)()
    net.CopyFrom(deploy)
    net.layer[0].input_param.shape[0].dim[0] = batch
    if net.layer[-1].type == "Softmax":
        top = net.layer[-1].bottom[0]
        del net.layer[-1]
    label = net.layer.add(name="label", type="Input", top=["label"])
    label.input_param.shape.add(dim=[batch, *shape[2:]] if shape[2:] else [batch])
    net.layer.add(
        name="loss", type="SoftmaxWithLoss", bottom=[top, "label"], top=["loss"]
    ).loss_param.normalization = 1  # VALID
    return net


def fill(net, rng):
    """He-scaled filters, plausible statistics, and upsampling by interpolation."""
    from whole_net_runner import fill_bilinear

    for name, blobs in net.params.items():
        kind, weights = net.layer_dict[name].type, blobs[0].data
        others = [blob.data for blob in blobs][1:]
        if kind == "Deconvolution":
            fill_bilinear(weights)
        elif kind == "BatchNorm":
            weights[...] = rng.standard_normal(weights.shape) * 0.1
            others[0][...] = rng.uniform(0.5, 1.5, others[0].shape)
            others[1][...] = 1
        elif kind == "Scale":
            weights[...] = rng.uniform(0.8, 1.2, weights.shape)
            for bias in others:
                bias[...] = rng.standard_normal(bias.shape) * 0.1
        else:
            rng.standard_normal(out=weights, dtype=np.float32)
            gain = 0.2 if kind == "InnerProduct" else 2.0  # the softmax should not saturate
            weights *= np.sqrt(gain * len(weights) / weights.size)
            for bias in others:
                bias[...] = rng.standard_normal(bias.shape) * 0.1


def write_onnx(path):
    """net.onnx, where the package onnx is installed; nets_speed.py itself compares the scores."""
    if importlib.util.find_spec("onnx") is not None:
        from caffe import cli

        weights = path("weights.caffemodel")
        arguments = ["export", path("deploy.prototxt"), weights, path("net.onnx"), "-no-check"]
        if cli.main(arguments):
            raise RuntimeError("caffe export failed; its message is above")


def make(name, work):
    from google.protobuf import json_format, text_format

    import caffe

    origin, batch, train_batch, _ = NETS[name]
    folder = os.path.join(work, name)
    os.makedirs(folder)

    def path(file):
        return os.path.join(folder, file)

    def write(file, message):
        with open(path(file), "w") as stream:
            stream.write(text_format.MessageToString(message))

    deploy = deploy_of(origin, batch)
    write("deploy.prototxt", deploy)
    net = caffe.Net(path("deploy.prototxt"), caffe.TEST)
    rng = np.random.default_rng(SEED)
    trained = os.path.join(CHECKOUT, origin, os.path.basename(origin) + ".caffemodel")
    if os.path.exists(trained):
        net.copy_from(trained)
    else:
        fill(net, rng)
    net.save(path("weights.caffemodel"))
    source = net.inputs[0]
    shape = tuple(net.blobs[source].shape)
    spread = 60 if shape[1] == 3 and os.path.exists(trained) else 1
    images = rng.standard_normal((2, *shape)).astype(np.float32) * spread
    np.save(path("inputs.npy"), images)

    out = net.outputs[0]
    scores = net.forward(**{source: images[0]})[out]
    training = training_of(deploy, train_batch, out, scores.shape)
    write("train.prototxt", training)
    with open(path("solver.prototxt"), "w") as stream:
        stream.write(SOLVER.format(path("train.prototxt")))
    batches = rng.standard_normal((2, train_batch, *shape[1:])).astype(np.float32) * spread
    np.save(path("train_inputs.npy"), batches)
    labels = rng.integers(0, scores.shape[1], (2, train_batch, *scores.shape[2:]))
    np.save(path("labels.npy"), labels.astype(np.float32))
    for layer, blobs in net.params.items():
        for number, blob in enumerate(blobs):
            np.save(path(f"{layer.replace('/', '~')}_{number}.npy"), blob.data)
    write_onnx(path)
    description = {
        "input": source,
        "output": out,
        "layers": [
            json_format.MessageToDict(layer, preserving_proto_field_name=True)
            for layer in deploy.layer
        ],
    }
    with open(path("layers.json"), "w") as stream:
        json.dump(description, stream)


def main():
    names = sys.argv[2:]
    for name in names:
        make(name, sys.argv[1])
    for line in () if names else sys.stdin:
        start = time.monotonic()
        try:
            make(json.loads(line)["net"], sys.argv[1])
            found = {"seconds": time.monotonic() - start}
        except Exception as error:
            found = {"error": (str(error).strip().splitlines() or [type(error).__name__])[0][:200]}
        print("ANSWER " + json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
