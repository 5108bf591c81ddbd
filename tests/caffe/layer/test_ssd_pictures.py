"""What SSD does to pictures: mirrored boxes, other colours."""

import colorsys

import numpy as np
import pytest
from annotated import PICTURES, RESIZE, make, rig
from harness import TRAIN

from caffe.layer.extensions import _ssd_pictures
from caffe.proto import caffe_pb2


def test_a_mirrored_box():
    transformer = _ssd_pictures.AnnotatedTransformer(
        caffe_pb2.TransformationParameter(mirror=True), TRAIN
    )
    transformer.init_rand()
    pixels, objects = PICTURES[0]
    found = set()
    for _ in range(20):
        out = np.empty(pixels.shape, np.float32)
        rows = transformer.finish(pixels, np.array(objects, np.float32), out)
        mirrored = not np.array_equal(out, pixels)
        assert rows[0, 2:6] == pytest.approx(
            [0.5, 0.2, 0.9, 0.5] if mirrored else [0.1, 0.2, 0.5, 0.5]
        )
        found.add(mirrored)
    assert found == {True, False}


def test_colours_change_as_hsv_says():
    image = np.random.default_rng(0).integers(0, 256, (3, 4, 5)).astype(np.float32)

    def by_hand(turn=0.0, factor=1.0):
        out = np.empty_like(image)
        for y, x in np.ndindex(4, 5):
            h, s, v = colorsys.rgb_to_hsv(*image[::-1, y, x] / 255)
            changed = (h + turn / 180) % 1, min(s * factor, 1), v  # in OpenCV's steps of hue
            out[:, y, x] = np.array(colorsys.hsv_to_rgb(*changed)[::-1]) * 255
        return out

    for by in (0, 10, -25):
        np.testing.assert_allclose(_ssd_pictures.turned(image, by), by_hand(by), atol=1e-2)
    for by in (0.5, 1.0, 1.4):
        expected = by_hand(factor=by)
        np.testing.assert_allclose(_ssd_pictures.saturated(image, by), expected, atol=1e-2)


def test_distortion_keeps_sizes_and_objects(tmp_path):
    path = make(tmp_path / "d")
    words = """distort_param { brightness_prob: 0.5 brightness_delta: 32 contrast_prob: 0.5
        contrast_lower: 0.5 contrast_upper: 1.5 hue_prob: 0.5 hue_delta: 18 saturation_prob: 0.5
        saturation_lower: 0.5 saturation_upper: 1.5 random_order_prob: 0.5 }"""
    layer = rig(path, f"{RESIZE} {words}", phase=TRAIN)
    means = {tuple(layer.forward().mean((1, 2, 3)).round(2)) for _ in range(6)}
    assert len(means) > 3
    assert layer.top[1].data.shape == (1, 1, 3, 8)
