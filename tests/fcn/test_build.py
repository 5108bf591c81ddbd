"""Nets of every backbone, head, stride and dataset."""

import os

import numpy as np
import pytest
from fcn_helpers import read_net
from narrow_nets import narrow

import caffe
from fcn import catalog
from fcn.build import build
from fcn.catalog import BACKBONES, HEADS, datasets
from fcn.geometry import facts
from fcn.prototxt import to_text
from nets import explain

SIZES = ((1, 2), (31, 32), (33, 66), (97, 255))


def planned(dataset, backbone, stride, **more):
    """None where they do not go together."""
    try:
        return catalog.plan(dataset, backbone, stride, **more)
    except ValueError:
        return None


def check_geometry(net, height, width):
    """Every crop is aligned and fits, what is joined has one size, the scores have the image's."""
    sizes = {}
    for row in facts.walk(net, explain.input_sizes(net, height, width)):
        shape = row.blob.shape[2:]
        bottoms = [sizes[name] for name in row.bottoms]
        assert min(shape) >= 1, row.name
        if row.type in ("Eltwise", "Concat"):
            assert all(bottom == shape for bottom in bottoms), row
        if row.type == "Crop":
            assert "aligned would be" not in row.note, row
            offset = int(row.note.split()[1].rstrip(":"))
            assert all(n + offset <= m for m, n in zip(*bottoms)), row
        for top in row.tops:
            sizes[top] = shape
    assert sizes[net.layer[-1].top[0]] == [height, width]


@pytest.mark.slow
def test_every_backbone_head_and_stride_fits_images_of_any_size():
    seen = 0
    for backbone, usual in BACKBONES.items():
        if backbone.endswith(("-frozen", "-learning")):
            continue  # the geometry of the net without the ending
        for head in HEADS:
            for stride in usual.strides:
                experiment = planned(datasets.TOY, backbone, stride, head=head)
                net = build(experiment, "deploy")
                for size in SIZES:
                    check_geometry(net, *size)
                seen += 1
    assert seen >= 7 * 6 * 3 + 3 * 6 * 4 + 2 * 6


@pytest.mark.slow
def test_every_backbone_dataset_and_stride_is_built():
    for backbone, usual in BACKBONES.items():
        for name, dataset in datasets.NAMED.items():
            for stride in usual.strides:
                net = build(planned(dataset, backbone, stride), "train")
                widths = {
                    layer.top[0]: layer.convolution_param.num_output
                    for layer in net.layer
                    if layer.type in ("Convolution", "Deconvolution")
                }
                for output in dataset.outputs:
                    score = "score_fr" if stride > 1 else "score"  # U-Net's has the image's size
                    assert widths[score + output.suffix] == output.classes, (backbone, name)
                losses = [layer.bottom[1] for layer in net.layer if layer.type == "SoftmaxWithLoss"]
                assert losses == [output.label for output in dataset.outputs]


def test_two_streams_and_at_once_on_every_trained_backbone():
    hha, fusion = datasets.named("nyud", two_stream=True)
    for backbone in ("vgg16", "vgg19", "alexnet", "googlenet", "resnet50"):
        for at_once in (False, True):
            net = build(planned(hha, backbone, 8, fusion=fusion, at_once=at_once), "deploy")
            assert list(net.layer[0].top) == ["color", "hha"]
            scales = [layer.name for layer in net.layer if layer.scale_param.HasField("filler")]
            assert len(scales) == 4 * (at_once and backbone != "resnet50"), (backbone, scales)
            fused = [layer for layer in net.layer if layer.name.endswith("_fused")]
            assert [list(layer.eltwise_param.coeff) for layer in fused] == [[0.5, 0.5]] * 3
            check_geometry(net, 60, 77)


@pytest.mark.slow
def test_nets_of_every_backbone_load_and_run(tmp_path):
    """A sixteenth of the width, each backbone with another head and stride."""
    rows = [
        ("vgg16", 8, "light"),
        ("vgg19", 16, "sum"),
        ("alexnet", 8, "concat"),
        ("googlenet", 8, "sum"),
        ("resnet50", 8, "pyramid"),
        ("resnet50", 16, "unet"),
        ("toy", 8, "unet"),
        ("unet", 1, "unet"),
        ("googlenet", 16, "light"),
        ("googlenet", 8, "fusion"),
        ("efficientnet-lite0", 4, "fusion"),
        ("efficientnet-lite1-frozen", 8, "sum"),
        ("efficientnet-lite2-learning", 32, "light"),
    ]
    for backbone, stride, head in rows:
        experiment = planned(datasets.TOY, backbone, stride, head=head)
        net = narrow(build(experiment, "deploy"), 16)
        path = os.path.join(str(tmp_path), "deploy.prototxt")
        with open(path, "w") as f:
            f.write(to_text(net))
        made = caffe.Net(path, caffe.TEST)
        made.blobs["data"].reshape(1, 3, 35, 50)
        made.reshape()
        for row in facts.walk(net, {"data": [1, 3, 35, 50]}):
            assert list(made.blobs[row.tops[0]].shape) == list(row.blob.shape), row.name
        for blobs in made.params.values():
            for blob in blobs:
                blob.data[...] = 0.01
        made.blobs["data"].data[...] = 1
        scores = made.forward()["score"]
        assert scores.shape == (1, 5, 35, 50) and np.all(scores > 0), (backbone, head)


def test_only_the_score_layer_of_fixed_nets_learns():
    for name in ("voc-fcn32s-fixed", "toy-fcn32s-fixed"):
        learning = [
            layer.name
            for layer in read_net(name, "train").layer
            if layer.type in ("Convolution", "Deconvolution", "Scale", "BatchNorm")
            and not (layer.param and all(p.lr_mult == 0 for p in layer.param))
        ]
        assert learning == ["score_fr"], name


def test_a_trunk_is_fixed_up_to_a_stride():
    rates = {
        layer.name: {p.lr_mult for p in layer.param}
        for layer in read_net("voc-fcn4s-lite0", "train").layer
        if layer.type == "Convolution" and layer.name.startswith(("stem", "block", "head"))
    }
    names = list(rates)
    last = names.index("block5_project")  # the end of stride 8
    assert all(rates[name] == {0} for name in names[: last + 1])
    assert all(min(rates[name]) > 0 for name in names[last + 1 :])


def test_learnt_upsampling_leaves_the_last_one_fixed():
    for name in ("voc-fcn8s-learned", "toy-fcn8s-learned"):
        rates = {
            layer.name: layer.param[0].lr_mult
            for layer in read_net(name, "train").layer
            if layer.type == "Deconvolution"
        }
        assert rates == {"upscore2": 1, "upscore_pool4": 1, "upscore8": 0}, name
