"""Pictures that a thread reads ahead: errors, order, what goes up to a GPU."""

import numpy as np
import pytest
import torch
from listed import labels, make, rig
from PIL import Image

import caffe
from caffe.errors import DataError


def test_the_same_error_until_the_image_is_there(tmp_path):
    layer = rig(make(tmp_path), "batch_size: 2")
    (tmp_path / "3.png").rename(tmp_path / "gone.png")
    assert labels(layer, 1) == [10, 11]
    for _ in range(2):
        with pytest.raises(DataError, match=r"list.txt:4 \(3.png\): Could not open .*3.png"):
            layer.forward()
    (tmp_path / "gone.png").rename(tmp_path / "3.png")
    assert labels(layer, 2) == [12, 13, 14, 10]


def test_trying_again_keeps_order_and_draws(tmp_path):
    fields, more = "batch_size: 2 shuffle: true", "transform_param { mirror: true crop_size: 2 }"
    caffe.set_random_seed(4)
    layer = rig(make(tmp_path), fields, more=more)
    expected = [(layer.forward(), layer.top[1].data.tolist()) for _ in range(6)]
    caffe.set_random_seed(4)
    layer = rig(tmp_path, fields, more=more)
    (tmp_path / "2.png").rename(tmp_path / "gone.png")
    found = []
    while len(found) < 6:
        try:
            found.append((layer.forward(), layer.top[1].data.tolist()))
        except DataError:
            (tmp_path / "gone.png").rename(tmp_path / "2.png")
    for (pixels, labelled), (expected_pixels, expected_labels) in zip(found, expected):
        np.testing.assert_array_equal(pixels, expected_pixels)
        assert labelled == expected_labels


def test_sizes_within_a_batch(tmp_path):
    make(tmp_path)
    Image.fromarray(np.zeros((5, 6, 3), np.uint8)).save(tmp_path / "1.png")
    assert rig(tmp_path, more="transform_param { crop_size: 4 }").forward().shape == (1, 3, 4, 4)
    layer = rig(tmp_path, "batch_size: 2")
    with pytest.raises(DataError, match=r"list.txt:2 \(1.png\): the picture is 3 x 5 x 6.*3 x 4 x"):
        layer.forward()


TRANSFORMS = [
    "",
    "mean_value: 104.00699 mean_value: 116.66877 mean_value: 122.67892",
    "mean_value: 7.3 scale: 0.017",
    "mean_value: 1 mean_value: 2 mean_value: 3 scale: 0.3 crop_size: 3 mirror: true",
]


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_bytes_go_up_to_a_gpu_and_become_the_same_bits(tmp_path, pretend, transform):
    rng = np.random.RandomState(1)
    make(tmp_path)
    for n in range(5):
        pixels = rng.randint(0, 256, (4, 6, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{n}.png")
    found = {}
    for where in ("cpu", "pretend"):
        caffe.set_mode_cpu() if where == "cpu" else pretend.set_mode_pretend()
        caffe.set_random_seed(3)
        layer = rig(tmp_path, "batch_size: 2", more=f"transform_param {{ {transform} }}")
        layer.forward()
        with pretend.counting() as counts, torch.no_grad():
            layer.layer.forward_blobs(layer.bottom, layer.top)
        found[where] = layer.top[0].data.copy()
    np.testing.assert_array_equal(found["pretend"], found["cpu"])
    assert counts["H2D bytes"] == found["cpu"].size, counts.lines("H2D")  # a byte a number
    assert counts["sync"] == 0


def test_a_mean_file_is_subtracted_before_pictures_go_up(tmp_path, pretend):
    make(tmp_path)
    mean = np.arange(72, dtype=np.float32).reshape(3, 4, 6)
    path = tmp_path / "mean.binaryproto"
    path.write_bytes(caffe.io.array_to_blobproto(mean[np.newaxis]).SerializeToString())
    layer = rig(tmp_path, "batch_size: 2", more=f'transform_param {{ mean_file: "{path}" }}')
    np.testing.assert_array_equal(layer.forward()[1], 1 - mean)
