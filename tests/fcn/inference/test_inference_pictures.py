"""Photos of every kind, and what is drawn over them."""

import json

import numpy as np
import pytest
from labelling_helpers import expected, read_label, run
from PIL import Image

from data import toy
from fcn.inference.pictures import overlay, read_photo, with_legend

pytestmark = pytest.mark.usefixtures("_from_the_root")


def _grey(image, path):
    image.convert("L").save(path)
    return np.array(image.convert("L").convert("RGB"))


def _rgba(image, path):
    with_alpha = image.convert("RGBA")
    with_alpha.putalpha(Image.linear_gradient("L").resize(image.size))
    with_alpha.save(path)
    alpha = np.array(with_alpha)[:, :, 3:].astype(float) / 255
    return np.array(image) * alpha + 255 * (1 - alpha)


def _palette(image, path):
    image.quantize(16).save(path)
    return np.array(image.quantize(16).convert("RGB"))


def _sixteen_bits(image, path):
    grey = np.array(image.convert("L")).astype(np.uint16)
    Image.fromarray(grey * 257).save(path)
    return np.repeat(grey[:, :, None], 3, axis=2)


def _rotated(image, path):
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its left side: to be turned clockwise
    image.transpose(Image.ROTATE_90).save(path, exif=exif.tobytes())
    return np.array(image)


@pytest.mark.slow
@pytest.mark.parametrize("make", [_grey, _rgba, _palette, _sixteen_bits, _rotated])
def test_any_kind_of_image(make, weights, photo, tmp_path):
    path = tmp_path / "b.png"
    pixels = make(Image.fromarray(photo), path)
    received = read_photo(str(path))
    assert received.dtype == np.uint8
    np.testing.assert_allclose(received, pixels, atol=1.01)  # alpha blending rounds
    assert run(weights, tmp_path, path) == 0
    np.testing.assert_array_equal(read_label(tmp_path / "b_label.png"), expected(weights, received))


def test_of_an_animation_the_first_picture_is_labelled_and_it_is_said(
    weights, photo, tmp_path, capsys
):
    first, second = Image.fromarray(photo), Image.fromarray(photo[::-1])
    path = tmp_path / "a.webp"
    first.save(path, save_all=True, append_images=[second], lossless=True)
    assert run(weights, tmp_path, path) == 0
    assert "  the first of 2 pictures in this file" in capsys.readouterr().out
    np.testing.assert_array_equal(read_label(tmp_path / "a_label.png"), expected(weights, photo))
    assert run(weights, tmp_path, path, "--json") == 0
    assert json.loads(capsys.readouterr().out)["pictures_in_file"] == 2


def test_cmyk_jpeg(photo, tmp_path):
    Image.fromarray(photo).convert("CMYK").save(tmp_path / "c.jpg", quality=95)
    received = read_photo(str(tmp_path / "c.jpg")).astype(int)
    assert np.abs(received - photo).mean() < 12


def test_the_tint_keeps_brightness_and_leaves_the_background_and_black():
    pixels = np.array([[[90, 120, 131], [200, 100, 0], [7, 8, 9]]] * 3, np.uint8)
    palette = np.zeros((256, 3), np.uint8)
    palette[1] = (128, 0, 0)
    label = np.zeros((3, 3), np.uint8)
    label[...] = 1
    mixed = overlay(pixels, label, palette, opacity=0.5)
    bright = np.array((77, 150, 29)) / 256
    assert abs(float(mixed[0, 0] @ bright) - float(pixels[0, 0] @ bright)) < 2
    assert mixed[0, 0, 0] > pixels[0, 0, 0] and mixed[0, 0, 2] < pixels[0, 0, 2]
    assert (overlay(pixels, label, palette, untouched=1) == pixels).all()
    assert (overlay(pixels, np.zeros_like(label), palette) == pixels).all()  # black
    assert (overlay(pixels, label, palette, opacity=0) == pixels).all()


def test_classes_are_outlined_in_their_own_colour():
    label = np.zeros((20, 20), np.uint8)
    label[:, 10:] = 1
    palette = np.full((256, 3), 50, np.uint8)
    palette[1] = (0, 255, 0)
    mixed = overlay(np.full((20, 20, 3), 99, np.uint8), label, palette)
    assert (mixed[:, 10] == (0, 255, 0)).all() and (mixed[:, 9] == 50).all()
    assert (mixed[:, :9] == mixed[0, 0]).all() and (mixed[0, 0] != 50).all()


def test_the_legend_shows_what_the_overlay_shows():
    label = np.zeros((100, 100), np.uint8)
    label[:50] = 1
    label[0, 0] = 4  # a ten thousandth
    picture = overlay(np.full((100, 100, 3), 77, np.uint8), label, toy.PALETTE, untouched=0)
    made = np.array(with_legend(picture, label, toy.CLASSES, toy.PALETTE))
    assert (made[:100, :100] == picture).all()
    below = {tuple(p) for p in made[100:].reshape(-1, 3)}
    assert tuple(picture[20, 20]) in below and tuple(toy.PALETTE[1]) in below
    assert tuple(picture[80, 80]) in below  # the background as it is
    assert tuple(toy.PALETTE[4]) not in below  # less than is worth a swatch
    label = np.repeat(label[:30], 40, axis=1)
    large = with_legend(np.full((30, 4000, 3), 77, np.uint8), label, toy.CLASSES, toy.PALETTE)
    assert large.height - 30 > 60  # text of a readable size, drawn at that size
