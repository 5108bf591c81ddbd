"""DataAugmentation: the mean of the weights taken off; sizes that differ; what is refused."""

import numpy as np
import pytest
from harness import TEST, TRAIN, Rig, close, random

import caffe
from caffe.errors import LayerError, ShapeError


def rig(text, shape, phase=TEST):
    return Rig(f'type: "DataAugmentation" augmentation_param {{ {text} }}', shape, phase=phase)


def test_the_mean_of_each_channel(device):
    x = random(2, 3, 4, 5)
    layer = rig("recompute_mean: 1000 mean_per_pixel: false augment_during_test: true", x.shape)
    assert [blob.dims for blob in layer.layer.blobs] == [(1, 1, 1, 1), (1, 3, 4, 5), (1, 3, 1, 1)]
    layer.layer.blobs[2].data[...] = np.array([1, 2, 3]).reshape(1, 3, 1, 1)
    close(layer.forward(x), x - np.array([1, 2, 3]).reshape(1, 3, 1, 1))


def test_the_mean_of_each_pixel_or_of_another_size():
    x, mean = random(2, 3, 4, 5), random(1, 3, 4, 5, seed=3)
    layer = rig("recompute_mean: 1", x.shape)
    layer.layer.blobs[1].data[...] = mean
    close(layer.forward(x), x - mean)
    layer.reshape((2, 3, 6, 7))
    other = random(2, 3, 6, 7, seed=4)
    close(layer.forward(other), other - mean.mean((2, 3), keepdims=True))


def test_a_mean_of_the_prototxt_and_none():
    x = random(2, 3, 4, 5)
    close(rig("mean: 1 mean: 2 mean: 3 mean_per_pixel: false", x.shape).forward(x),
          x - np.array([1, 2, 3]).reshape(1, 3, 1, 1))  # fmt: skip
    close(rig("", x.shape).forward(x), x)


NET = """layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ dim: 1 dim: 3
    dim: {} dim: {} }} }} }}
    layer {{ name: "a" type: "DataAugmentation" bottom: "x" top: "a"
    augmentation_param {{ recompute_mean: 1000 mean_per_pixel: {} }} }}"""


@pytest.mark.parametrize("per_pixel", ["true", "false"])
@pytest.mark.parametrize("kind", ["caffemodel", "h5"])
def test_weights_with_a_mean_picture_of_another_size(tmp_path, kind, per_pixel):
    """Trained on crops of 6 x 8, run on pictures of 9 x 7."""
    (tmp_path / "trained.prototxt").write_text(NET.format(6, 8, per_pixel))
    (tmp_path / "runs.prototxt").write_text(NET.format(9, 7, per_pixel))
    net = caffe.Net(str(tmp_path / "trained.prototxt"), caffe.TEST)
    mean = random(1, 3, 6, 8)
    net.params["a"][1].data[...] = mean
    net.params["a"][2].data[...] = mean.mean((2, 3), keepdims=True)
    path = str(tmp_path / f"w.{kind}")
    net.save_hdf5(path) if kind == "h5" else net.save(path)
    run = caffe.Net(str(tmp_path / "runs.prototxt"), path, caffe.TEST)
    x = random(1, 3, 9, 7, seed=2)
    run.blobs["x"].data[...] = x
    close(run.forward()["a"], x - mean.mean((2, 3), keepdims=True))


def test_what_is_refused():
    with pytest.raises(LayerError, match="changes pictures at random in training"):
        rig("", (1, 3, 4, 4), TRAIN)
    with pytest.raises(LayerError, match="crop_width and crop_height are not implemented"):
        rig("crop_width: 3", (1, 3, 4, 4))
    with pytest.raises(LayerError, match="mean needs 3 values, got 1"):
        rig("mean: 3", (1, 3, 4, 4))
    layer = rig("recompute_mean: 1", (1, 3, 4, 4))
    with pytest.raises(ShapeError, match=r"mean has 3 channels, the bottom is \(1, 2, 4, 4\)"):
        layer.reshape((1, 2, 4, 4))
