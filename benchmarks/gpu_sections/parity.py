"""FCN-8s at full width: every blob and gradient against the CPU; tf32 and bf16 against float64."""

import gc
import tempfile

import numpy as np
import torch

import caffe
from gpu_sections import fcn8s
from gpu_sections.machine import Machine, has, relative_error, share
from gpu_sections.peer import loss_of, peer_of

TOLERANCE = 1e-3  # of each blob's largest value: the tolerance of whole nets
PASSES = 8  # enough for a graph to be captured and replayed
#: Bounds of ||error|| / ||float64||: wide, for they only tell a wrong result from a rough one.
ROUGH = {"fp32": 1e-4, "tf32": 1e-2, "bf16": 1e-1}
GRADIENTS = (("conv1_1", 0), ("conv3_2", 0), ("conv5_3", 0), ("fc6", 0), ("score_fr", 0))


def run(record):
    quick = record.options.quick
    height, width, narrow = (40, 48, 64) if quick else (500, 500, 1)
    machine = Machine(record.options.device)
    with tempfile.TemporaryDirectory() as folder:
        param = fcn8s.train_param(height, width, narrow, force_backward=True)
        # Phase TEST: Dropout passes everything, and the backward pass runs all the same.
        net = fcn8s.net_of(param, folder, caffe.TEST)
        weights = fcn8s.random_weights(net)
        fcn8s.set_weights(net, weights)
        images, labels = fcn8s.pictures(height, width)
        images /= 75.0  # of unit variance: larger scores would saturate the softmax
        with record.step("against the CPU"):
            against_the_cpu(record, machine, net, images, labels)
        with record.step("against float64"):
            against_float64(record, machine, net, weights, images, labels)


def feed(net, images, labels, number=0):
    net.blobs["data"].data[...] = images[number]
    net.blobs["label"].data[...] = labels[number]


def own_blobs(net):
    """Blobs but the labels and the copies that Caffe makes for several readers."""
    return [name for name in net.blobs if name != "label" and "_split_" not in name]


def diffs_of(net):
    found = {f"diff of {name}": net.blobs[name].diff.copy() for name in own_blobs(net)}
    for name, blobs in net.params.items():
        for index, blob in enumerate(blobs):
            found[f"diff of {name}[{index}]"] = blob.diff.copy()
    return found


def backward(net):
    net.clear_param_diffs()
    net.backward()
    return diffs_of(net)


def adopt(net, data):
    """Give the blobs these values, and the poolings their maxima of them (see whole_nets.py)."""
    for name, array in data.items():
        net.blobs[name].data[...] = array
    for name, layer in net.layer_dict.items():
        if layer.type == "Pooling":
            net.forward(start=name, end=name)


def against_the_cpu(record, machine, net, images, labels):
    machine.leave()
    feed(net, images, labels)
    net.forward()
    expected = {name: net.blobs[name].data.copy() for name in own_blobs(net)}
    expected_diffs = backward(net)
    machine.enter()
    for number in range(PASSES + 1):
        feed(net, images, labels, number % 2)
        net.forward()
        if number == 0:
            compare(record, net, expected, "the first pass")
    feed(net, images, labels)
    net.forward()
    compare(record, net, expected, f"pass {PASSES + 2}")
    adopt(net, expected)
    found = backward(net)
    worst = max((share(a, found[key]), key) for key, a in expected_diffs.items())
    record.check(
        f"{len(found)} gradients in fp32",
        worst[0] <= TOLERANCE,
        f"worst {worst[0]:.2g} of the maximum, {worst[1]}",
    )


def compare(record, net, expected, which):
    worst = max((share(a, net.blobs[name].data), name) for name, a in expected.items())
    record.check(
        f"{len(expected)} blobs in fp32, {which}",
        worst[0] <= TOLERANCE,
        f"worst {worst[0]:.2g} of the maximum, {worst[1]}",
    )


def against_float64(record, machine, net, weights, images, labels):
    """The same weights in a plain PyTorch module in float64 are the reference."""
    reference, gradients = exact(machine, weights, images[0], labels[0])
    precisions = ["fp32", "tf32", "bf16"]
    if not has(record, "set_precision", "precision"):
        precisions = ["fp32"]
    machine.enter()
    for precision in precisions:
        with record.step(precision):
            if len(precisions) > 1:
                caffe.set_precision(precision)
            for number in (1, 0) * 4:
                feed(net, images, labels, number)
                net.forward()
            errors = {k: relative_error(a, net.blobs[k].data) for k, a in reference.items()}
            found = backward(net)
            norms = {
                f"{layer}'s gradient": relative_error(
                    gradients[layer, i], found[f"diff of {layer}[{i}]"]
                )
                for layer, i in GRADIENTS
            }
            figures = ", ".join(f"{k} {v:.1e}" for k, v in {**errors, **norms}.items())
            record.fact(precision, {**errors, **norms})
            rough = max(errors.values()) <= ROUGH[precision]
            record.check(f"{precision} against float64", rough, figures)
    if len(precisions) > 1:
        caffe.set_precision("fp32")


def exact(machine, weights, image, label):
    """(tops by name, gradients by (layer, index)) of the module in float64."""
    model = peer_of(weights).double().to(machine.torch_device).eval()
    kept = {}
    scores = model(torch.from_numpy(image).double().to(machine.torch_device), kept)
    target = torch.from_numpy(label[:, 0]).long().to(machine.torch_device)
    loss_of(scores, target).backward()
    names = dict(model.named_parameters())
    gradients = {}
    for layer, index in GRADIENTS:
        grad = names[f"{layer}.{'bias' if index else 'weight'}"].grad
        gradients[layer, index] = grad.cpu().numpy()
    tops = {k: kept[k].detach().cpu().numpy() for k in ("pool3", "pool5", "fc7", "score")}
    del model, scores, kept
    gc.collect()
    if machine.real:
        torch.cuda.empty_cache()
    if not np.isfinite(tops["score"]).all():
        raise ValueError("the reference itself is not finite")
    return tops, gradients
