"""What all heads are written with: scores, hidden convolutions, upsampling, the final crop."""

import pytest

import caffe
from caffe import layers as L
from fcn.backbones import Features, Skip
from fcn.catalog import BACKBONES, datasets
from fcn.heads.draft import Draft


def draft(stride=8, size=64, **style):
    """A draft on an Input, with the style of a published net but for what is said."""
    n = caffe.NetSpec()
    n.data = L.Input(shape=dict(dim=[1, 3, size, size]))
    style = BACKBONES["vgg16"].style._replace(**style)
    return Draft(n, n.data, "train", style, stride, {})


def layer(d, name):
    return next(each for each in d.n.to_proto().layer if each.name == name)


def test_it_reads_the_skips_of_its_stride_and_coarser_ones():
    d = draft(stride=8)
    features = Features(d.image, 32, 9, {s: Skip(str(s), d.image, 1) for s in (16, 8, 4)}, False)
    assert [stride for stride, _ in d.skips(features)] == [16, 8]


def test_scores_start_at_zero_unless_the_style_has_a_filler():
    d = draft()
    d.n["score_fr"] = d.score(d.image, 5)
    assert not layer(d, "score_fr").convolution_param.HasField("weight_filler")
    assert [p.lr_mult for p in layer(d, "score_fr").param] == [1, 2]
    d = draft(filler=dict(type="xavier"), score_rate=5)
    d.n["score_fr"] = d.score(d.image, 5)
    assert layer(d, "score_fr").convolution_param.weight_filler.type == "xavier"
    assert [p.lr_mult for p in layer(d, "score_fr").param] == [5, 5]


def test_hidden_convolutions_keep_the_size_and_start_at_random():
    d = draft()
    d.n["h"] = d.hidden(d.image, 7, 3)
    param = layer(d, "h").convolution_param
    assert (param.num_output, param.pad[:], param.weight_filler.type) == (7, [1], "msra")


@pytest.mark.parametrize("odd, kernel", [(False, 16), (True, 15)])
def test_upsampling_learns_but_for_the_last(odd, kernel):
    d = draft(odd=odd, learned=True)
    d.n["up"] = d.upsample(d.image, 3, 8)
    d.n["last"] = d.upsample(d.image, 3, 8, last=True)
    d.n["features"] = d.enlarge(d.image, 3, 2)
    assert [layer(d, name).param[0].lr_mult for name in ("up", "last", "features")] == [1, 0, 0]
    param = layer(d, "up").convolution_param
    assert (param.kernel_size[:], param.stride[:], param.bias_term) == ([kernel], [8], False)
    assert layer(d, "features").convolution_param.group == 3


@pytest.mark.parametrize("stride, last", [(32, "upscore"), (8, "upscore8"), (1, None)])
def test_scores_end_at_the_images_size(stride, last):
    d = draft(stride=stride, odd=True, grouped=True)
    output = datasets.TOY.outputs[0]
    d.scores(L.Pooling(d.image, kernel_size=1, stride=stride) if stride > 1 else d.image, output)
    names = list(d.n.tops)
    assert names[-1] == "score" and (last in names) == (last is not None)
    assert layer(d, "score").type == ("Crop" if last else "Convolution")
