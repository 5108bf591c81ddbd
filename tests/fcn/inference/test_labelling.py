"""Photos in, labels out: sizes, batches, failures."""

import numpy as np
import pytest
from labelling_helpers import read_label, run
from PIL import Image

import infer
from fcn.geometry.ops import InferenceError
from fcn.inference import labelling, model

pytestmark = pytest.mark.usefixtures("_from_the_root")


@pytest.mark.slow
@pytest.mark.parametrize("size", [(1, 1), (1, 40), (33, 2), (65, 64)])
def test_odd_sizes(size, weights, tmp_path):
    pixels = np.random.RandomState(1).randint(0, 256, size + (3,)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "d.png")
    assert run(weights, tmp_path, tmp_path / "d.png") == 0
    assert read_label(tmp_path / "d_label.png").shape == size


@pytest.mark.slow
@pytest.mark.parametrize(
    "make, message",
    [
        (lambda path: None, "missing image"),
        (lambda path: Image.new("F", (9, 9)).save(path, "TIFF"), "floating-point image"),
        (lambda path: path.write_bytes(b"not an image"), "cannot read the image"),
    ],
)
def test_bad_images_are_named_and_the_others_done(make, message, weights, photo, tmp_path, capsys):
    make(tmp_path / "bad.png")
    Image.fromarray(photo).save(tmp_path / "good.png")
    assert run(weights, tmp_path, tmp_path / "bad.png", tmp_path / "good.png") == 1
    error = capsys.readouterr().err
    assert message in error and "bad.png" in error
    assert (tmp_path / "good_label.png").exists()
    assert not (tmp_path / "bad_label.png").exists()


@pytest.mark.slow
def test_a_large_photo_is_labelled_at_the_size_of_the_training_pictures(
    weights, photo, tmp_path, capsys
):
    """What it says of a photo does not depend on how many pixels the camera has."""
    small = Image.fromarray(photo).resize((160, 120))
    small.save(tmp_path / "small.png")
    small.resize((1280, 960), Image.BICUBIC).save(tmp_path / "large.png")
    assert run(weights, tmp_path, tmp_path / "small.png", tmp_path / "large.png", size=()) == 0
    assert "large.png: 1280x960, labelled at 160x120\n" in capsys.readouterr().out
    want, large = read_label(tmp_path / "small_label.png"), read_label(tmp_path / "large_label.png")
    assert large.shape == (960, 1280)
    assert (large[4::8, 4::8] == want).mean() > 0.95
    # --size says otherwise: as it is, or a number.
    for size, words in (("native", "1280x960\n"), ("320", "1280x960, labelled at 320x240\n")):
        assert run(weights, tmp_path, tmp_path / "large.png", size=("--size", size)) == 0
        assert words in capsys.readouterr().out


def test_errors_name_the_image(weights, tmp_path, capsys, monkeypatch):
    Image.new("RGB", (9, 9)).save(tmp_path / "small.png")

    def too_small(*_):
        raise InferenceError("an image of 9x9 is too small")

    monkeypatch.setattr(model.Model, "plan", too_small)
    assert run(weights, tmp_path, tmp_path / "small.png") == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ") and "small.png: an image of 9x9" in error


def test_one_of_a_batch_that_fails_does_not_take_the_others_along(
    weights, photo, tmp_path, capsys, monkeypatch
):
    for name in "abc":
        Image.fromarray(photo).save(tmp_path / f"{name}.png")
    write = infer.write

    def refuse(job, *rest):
        if job.path.endswith("b.png"):
            raise OSError(28, "No space left on device", job.target)
        return write(job, *rest)

    monkeypatch.setattr(infer, "write", refuse)
    assert run(weights, tmp_path, *(tmp_path / f"{name}.png" for name in "abc")) == 1
    assert "No space left" in capsys.readouterr().err
    assert (tmp_path / "a_label.png").exists() and (tmp_path / "c_label.png").exists()


def test_what_it_does_not_know_is_said(weights, photo, tmp_path, capsys, monkeypatch):
    Image.fromarray(photo).save(tmp_path / "a.png")
    monkeypatch.setattr(labelling, "mostly_background", lambda *_: True)
    assert run(weights, tmp_path, tmp_path / "a.png") == 0
    assert "\n  mostly background: " in capsys.readouterr().out
