"""Augmentation: a function of seed and draw, cut as the scaled image would be."""

import random

import numpy as np
import pytest
from PIL import Image

from segdata.augment import Augmentation, View, cut, recoloured
from segdata.images import IGNORE
from segdata.order import draw_random
from segdata.streams import ColorStream, LabelStream


def test_augmentation_is_a_function_of_seed_and_draw():
    numbers = {draw_random(seed, draw).random() for seed in (1, 2) for draw in range(100)}
    assert len(numbers) == 200
    assert draw_random(1, 5).random() == draw_random(1, 5).random()


def gradient(height, width):
    """An image whose red is the row and green the column, and a label that is row·16 + column."""
    rows, columns = np.mgrid[:height, :width]
    pixels = np.dstack([rows, columns, np.zeros_like(rows)]).astype(np.uint8)
    return pixels, (rows * 16 + columns).astype(np.uint8)


def view(pixels, label, what):
    image, at = cut(Image.fromarray(pixels), what)
    numbers, same = cut(Image.fromarray(label), what, Image.NEAREST)
    assert at == same
    return image, numbers, at


def to_blob(pixels, numbers, mean, data, label, at=(0, 0), gain=None):
    """Write both tops as the loader does."""
    ColorStream(mean).write(data, pixels, at, gain)
    LabelStream(None, 256).write(label, numbers, at, gain)


def test_crop_inside():
    pixels, label = gradient(10, 12)
    got, numbers, at = view(pixels, label, View((10, 12), 2, 3, (4, 5), False))
    np.testing.assert_array_equal(got, pixels[2:6, 3:8])
    np.testing.assert_array_equal(numbers, label[2:6, 3:8])
    assert at == (0, 0)


@pytest.mark.parametrize("mirror", [False, True])
def test_crop_larger_than_the_image_is_padded(mirror):
    pixels, label = gradient(4, 5)
    mean = np.array([1.0, 2.0, 3.0])
    data = np.full((3, 7, 9), np.nan, np.float32)
    out = np.zeros((1, 7, 9), np.uint8)
    got, numbers, at = view(pixels, label, View((4, 5), -2, -1, (7, 9), mirror))
    to_blob(got, numbers, mean, data, out, at)
    want = np.zeros((3, 7, 9), np.float32)
    want[:, 2:6, 1:6] = pixels[:, :, ::-1].transpose(2, 0, 1) - mean[:, None, None]
    want_label = np.full((1, 7, 9), 255, np.uint8)
    want_label[0, 2:6, 1:6] = label
    if mirror:
        want, want_label = want[:, :, ::-1], want_label[:, :, ::-1]
    np.testing.assert_array_equal(data, want)
    np.testing.assert_array_equal(out, want_label)


@pytest.mark.parametrize("factor", [0.5, 0.75, 1.5, 2.0])
def test_scaled_crop_is_the_crop_of_the_scaled_image(factor):
    rng = np.random.RandomState(0)
    small = rng.randint(0, 256, (9, 11, 3)).astype(np.uint8)
    image = Image.fromarray(small).resize((88, 72), Image.BICUBIC)
    label = Image.fromarray((rng.rand(9, 11) * 11).astype(np.uint8)).resize((88, 72), Image.NEAREST)
    scaled = (int(72 * factor), int(88 * factor))
    whole = np.asarray(image.resize(scaled[::-1], Image.BILINEAR)).astype(int)
    whole_label = np.asarray(label.resize(scaled[::-1], Image.NEAREST))
    top, left, size = scaled[0] // 4, scaled[1] // 4, (scaled[0] // 2, scaled[1] // 2)
    what = View(scaled, top, left, size, False)
    pixels, numbers = cut(image, what)[0], cut(label, what, Image.NEAREST)[0]
    inner = (slice(top, top + size[0]), slice(left, left + size[1]))
    # The window is clipped before it is resampled, which shows at its own edge only.
    difference = np.abs(pixels - whole[inner])[2:-2, 2:-2]
    assert difference.max() <= 2, difference.max()
    assert (numbers == whole_label[inner]).mean() > 0.99


def test_views_are_uniform_over_scale_and_place():
    augmentation = Augmentation(scale=(0.5, 2.0), crop=(60, 80), mirror=True)
    label = Image.new("L", (100, 100))
    views = [augmentation.draw(label, random.Random(i)) for i in range(4000)]
    heights = np.array([v.scaled[0] for v in views])
    assert heights.min() >= 50 and heights.max() <= 200
    assert abs(heights.mean() - 125) < 3  # uniform over 50 to 200
    assert abs(np.mean([v.mirror for v in views]) - 0.5) < 0.03
    for v in views:
        for start, length, window in zip((v.top, v.left), v.scaled, v.size):
            room = length - window
            assert min(0, room) <= start <= max(0, room)
    assert {v.top for v in views if v.scaled[0] == 62} == {0, 1, 2}


def test_balanced_crops_hold_a_pixel_of_the_rare_class():
    """One pixel of class 2 in 100x100 of class 1: plain 20x20 crops hold it in 4 % at most."""
    label = np.ones((100, 100), np.uint8)
    label[70, 30] = 2
    label[:, :5] = IGNORE
    label = Image.fromarray(label)

    def share(balance):
        augmentation = Augmentation(crop=(20, 20), scale=(0.8, 1.2), balance=balance)
        views = [augmentation.draw(label, random.Random(i)) for i in range(2000)]
        hits = 0
        for v in views:
            row, column = 0.705 * v.scaled[0], 0.305 * v.scaled[1]
            hits += v.top <= row <= v.top + 20 and v.left <= column <= v.left + 20
            assert 0 <= v.top <= v.scaled[0] - 20 and 0 <= v.left <= v.scaled[1] - 20
        return hits / len(views)

    assert share(0.0) < 0.1
    assert 0.5 < share(1.0) < 0.65  # every second crop is laid around it, and some by chance
    assert Augmentation(crop=(4, 4), balance=1.0).draw(
        Image.new("L", (9, 7), IGNORE), random.Random(0)
    ).size == (4, 4)


def test_light_varies_brightness_and_colour_and_nothing_else():
    label = Image.new("L", (9, 7))
    gains = np.array(
        [Augmentation(light=0.2).draw(label, random.Random(i)).gain for i in range(2000)]
    )
    assert gains.min() >= 0.8 * 0.9 and gains.max() <= 1.2 * 1.1
    assert abs(gains.mean() - 1) < 0.01 and gains.std(0).min() > 0.1
    assert (gains.max(1) - gains.min(1)).max() <= 1.2 * 0.2 + 1e-9
    pixels = np.full((7, 9, 3), (10, 100, 250), np.uint8)  # RGB
    data, numbers = np.empty((3, 7, 9), np.float32), np.empty((1, 7, 9), np.uint8)
    mean = np.array([1.0, 2.0, 3.0])
    to_blob(pixels, np.ones((7, 9), np.uint8), mean, data, numbers, gain=(1.2, 0.5, 2.0))
    assert data[:, 3, 3].tolist() == [255 - 1, 50 - 2, 20 - 3]  # BGR; what is white stays white
    assert (numbers == 1).all()


def test_color_varies_contrast_and_saturation_evenly_and_independently():
    label = Image.new("L", (9, 7))
    drawn = [Augmentation(color=0.3).draw(label, random.Random(i)) for i in range(2000)]
    assert all(view.gain is None and view.size == (7, 9) and not view.mirror for view in drawn)
    factors = np.array([view.color for view in drawn])
    assert factors.min() >= 0.7 and factors.max() <= 1.3
    assert np.abs(factors.mean(0) - 1).max() < 0.02
    assert np.abs(factors.std(0) - 0.6 / 12**0.5).max() < 0.01  # of an even spread
    assert abs(np.corrcoef(factors.T)[0, 1]) < 0.08
    assert Augmentation(color=0.3).active
    assert Augmentation(light=0.3).draw(label, random.Random(1)).color is None


@pytest.mark.parametrize("contrast, saturation", [(1, 1), (0.7, 1), (1, 0), (1, 1.3), (1.3, 0.6)])
def test_contrast_is_around_middle_grey_and_saturation_around_the_grey_of_equal_light(
    contrast, saturation
):
    pixels = np.random.RandomState(0).randint(0, 256, (11, 13, 3)).astype(np.uint8)
    light = pixels.astype(float) @ (0.299, 0.587, 0.114)
    want = light[..., None] + saturation * (pixels - light[..., None])
    want = np.clip(128 + contrast * (want - 128), 0, 255)
    found = recoloured(pixels, contrast, saturation)
    assert found.dtype == np.uint8 and found.shape == pixels.shape
    assert np.abs(found - want).max() <= 1


def test_without_augmentation_the_view_is_the_image():
    assert not Augmentation().active
    assert Augmentation().draw(Image.new("L", (9, 7)), None) == View((7, 9), 0, 0, (7, 9), False)
