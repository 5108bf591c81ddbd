"""Tiles: spans keep every pixel once, and their scores are the whole image's."""

import re

import numpy as np
import pytest
from google.protobuf import text_format

import bootstrap
import caffe
from caffe.proto import caffe_pb2
from fcn import catalog
from fcn.geometry.fields import Geometry, geometry, memory, shapes
from fcn.geometry.ops import read_ops
from fcn.inference import tiles

pytestmark = pytest.mark.slow

EXPERIMENTS = ["voc-fcn8s", "voc-fcn-alexnet", "voc-fcn8s-atonce", "camvid-fcn8s", "toy-fcn32s"]


def narrow(name, tmp_path):
    """An experiment's deploy net with a few channels in each layer: same geometry, fast."""
    with open(f"{bootstrap.ROOT}/{catalog.net_path(name, 'deploy')}") as lines:
        text = lines.read()
    classes = catalog.experiment(name).dataset.classes
    # The scores' channels and the deconvolutions' groups stay; all others become 4.
    text = re.sub(
        r"num_output: (\d+)",
        lambda m: m.group(0) if int(m.group(1)) == classes else "num_output: 4",
        text,
    )
    path = str(tmp_path / "deploy.prototxt")
    with open(path, "w") as lines:
        lines.write(text)
    return path


def description(path):
    message = caffe_pb2.NetParameter()
    with open(path) as lines:
        text_format.Merge(lines.read(), message)
    return message


def random_weights(net, seed):
    """He-scaled weights, so that scores depend on all that they can reach."""
    rng = np.random.RandomState(seed)
    for blobs in net.params.values():
        for blob in blobs:
            shape = blob.data.shape
            if len(shape) == 4:
                # Fixed bilinear filters are made random too: they must not hide a wrong crop.
                blob.data[...] = rng.randn(*shape) * np.sqrt(2.0 / np.prod(shape[1:]))
            else:
                blob.data[...] = rng.rand(*shape) * 0.2 + 0.9  # also mean, variance and scale


def scores(net, pixels):
    net.blobs["data"].reshape(1, *pixels.shape)
    net.blobs["data"].data[0] = pixels
    net.forward()
    return net.blobs["score"].data[0].copy()


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_tiles_give_the_whole_images_scores(name, tmp_path):
    path = narrow(name, tmp_path)
    net = caffe.Net(path, caffe.TEST)
    random_weights(net, 3)
    ops = read_ops(description(path))
    geometries = tuple(geometry(ops, "score", axis) for axis in (0, 1))
    least = tiles.smallest(geometries[0])
    # Odd sizes, so that the image's end is where pooling rounds up.
    height, width = least + 77, 2 * least + 45
    pixels = np.random.RandomState(4).randn(3, height, width).astype(np.float32) * 50
    whole = scores(net, pixels)
    assert np.ptp(whole) > 1e-3

    joined = np.full_like(whole, np.nan)
    count = 0
    for rows in tiles.spans(height, least + 32, geometries[0]):
        for columns in tiles.spans(width, least + 64, geometries[1]):
            part = scores(net, pixels[:, rows.start : rows.stop, columns.start : columns.stop])
            joined[:, rows.first : rows.last, columns.first : columns.last] = part[
                :,
                rows.first - rows.start : rows.last - rows.start,
                columns.first - columns.start : columns.last - columns.start,
            ]
            count += 1
    assert count >= 6
    error = np.abs(joined - whole).max() / np.abs(whole).max()
    assert error < 1e-5, error


@pytest.mark.parametrize("name", ["voc-fcn8s", "camvid-fcn8s"])
def test_a_receptive_field_too_small_would_show(name, tmp_path):
    """The tiles are no larger than they must be by much: a quarter of the overlap is not enough."""
    path = narrow(name, tmp_path)
    net = caffe.Net(path, caffe.TEST)
    random_weights(net, 3)
    full = geometry(read_ops(description(path)), "score", 1)
    size = tiles.smallest(full)
    width = size + 2 * full.period
    pixels = np.random.RandomState(4).randn(3, 64, width).astype(np.float32) * 50
    whole = scores(net, pixels)
    less = Geometry(full.before // 4, full.after // 4, full.period)
    span = tiles.spans(width, size, less)[0]
    part = scores(net, pixels[:, :, : span.stop])
    error = np.abs(part[:, :, : span.last] - whole[:, :, : span.last]).max() / np.abs(whole).max()
    assert error > 1e-4, error


@pytest.mark.parametrize("name", EXPERIMENTS)
@pytest.mark.parametrize("size", [(64, 64), (97, 131), (120, 33)])
def test_shapes_are_those_of_the_net(name, size, tmp_path):
    path = narrow(name, tmp_path)
    net = caffe.Net(path, caffe.TEST)
    net.blobs["data"].reshape(1, 3, *size)
    net.reshape()
    known = shapes(read_ops(description(path)), *size)
    # Caffe names the copies that it inserts for blobs read twice with "_split_".
    actual = {k: tuple(b.data.shape[1:]) for k, b in net.blobs.items() if "_split_" not in k}
    assert known == actual


def test_memory_counts_every_blob():
    net = caffe_pb2.NetParameter()
    text_format.Merge(
        """
        layer { name: "in" type: "Input" top: "data"
                input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
        layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
                convolution_param { num_output: 5 kernel_size: 3 pad: 1 } }
        layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
        layer { name: "up" type: "Deconvolution" bottom: "conv" top: "up"
                convolution_param { num_output: 2 kernel_size: 4 stride: 2 pad: 1 } }
    """,
        net,
    )
    ops = read_ops(net)
    # data 3·10·20, conv 5·10·20 (the ReLU is in place), up 2·20·40; the largest is up, 1600.
    blobs = 600 + 1000 + 1600
    assert memory(ops, 10, 20, unrolled=False) == 4 * (blobs + 2 * 1600)
    # Windows of the convolution: 9·3 values at 200 positions; of the deconvolution 16·2 at 200.
    assert memory(ops, 10, 20, unrolled=True) == 4 * (blobs + 27 * 200 + 32 * 200)


def test_memory_counts_what_layers_keep():
    net = caffe_pb2.NetParameter()
    text_format.Merge(
        """
        layer { name: "in" type: "Input" top: "data"
                input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
        layer { name: "bn" type: "BatchNorm" bottom: "data" top: "normal" }
        layer { name: "scale" type: "Scale" bottom: "normal" top: "normal" }
        layer { name: "copy" type: "Scale" bottom: "normal" top: "copy" }
    """,
        net,
    )
    ops = read_ops(net)
    # Three blobs of 3·10·20; the Scale in place keeps its bottom, the other one need not;
    # BVLC's BatchNorm keeps two blobs more.
    assert memory(ops, 10, 20, unrolled=False) == 4 * 600 * (3 + 1 + 2)
    assert memory(ops, 10, 20, unrolled=True) == 4 * 600 * (3 + 1 + 2)


def test_geometry_of_a_convolution_and_pooling():
    net = caffe_pb2.NetParameter()
    text_format.Merge(
        """
        layer { name: "in" type: "Input" top: "data"
                input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
        layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
                convolution_param { num_output: 5 kernel_size: 3 dilation: 2 pad: 2 } }
        layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool"
                pooling_param { kernel_size: 2 stride: 2 } }
        layer { name: "up" type: "Deconvolution" bottom: "pool" top: "up"
                convolution_param { num_output: 5 kernel_size: 4 stride: 2 pad: 1 } }
    """,
        net,
    )
    # up[y] reads pool from (y-2)/2 to (y+1)/2, so conv from y-2 to y+2, so data from y-4 to y+4.
    assert geometry(read_ops(net), "up", 0) == Geometry(before=4, after=4, period=2)


@pytest.mark.parametrize("length", [1, 31, 200, 640, 1001])
@pytest.mark.parametrize("size", [132, 160, 400])
def test_spans_keep_each_pixel_once_and_never_too_near_an_edge(length, size):
    g = Geometry(before=47, after=53, period=32)
    kept = 0
    for span in tiles.spans(length, size, g):
        assert span.first == kept < span.last
        kept = span.last
        assert span.start % 32 == 0 and span.stop - span.start <= size
        assert span.start == 0 or span.first - g.before >= span.start
        assert span.stop == length or span.last - 1 + g.after < span.stop
    assert kept == length


def test_plan_keeps_to_the_budget():
    g = Geometry(before=40, after=40, period=32)

    def bytes_of(height, width):
        return 100 * height * width

    one = tiles.plan(300, 500, (g, g), bytes_of, 100 * 300 * 500)
    assert one == [tiles.Tile(tiles.Span(0, 300, 0, 300), tiles.Span(0, 500, 0, 500))]
    several = tiles.plan(300, 500, (g, g), bytes_of, 100 * 200 * 200)
    assert len(several) > 2
    covered = np.zeros((300, 500), int)
    for rows, columns in several:
        assert bytes_of(rows.stop - rows.start, columns.stop - columns.start) <= 100 * 200 * 200
        covered[rows.first : rows.last, columns.first : columns.last] += 1
    assert (covered == 1).all()
    assert tiles.plan(300, 500, (g, g), bytes_of, 100 * 50 * 50) is None
