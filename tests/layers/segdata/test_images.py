"""Reading images: upright, of known formats, and nothing that is no image."""

import importlib
import importlib.util
import io
import os

import numpy as np
import pytest
from fcn_helpers import raised
from PIL import Image

from segdata import DataError
from segdata.images import read_first, read_label, read_rgb, to_rgb
from segdata.loader import BatchLoader
from segdata.streams import ColorStream, LabelStream, read_depth, read_hha


def turned(image, path, tag, **options):
    """Save an image so that viewers that apply EXIF show `image`."""
    back = {
        2: [Image.FLIP_LEFT_RIGHT],
        3: [Image.ROTATE_180],
        4: [Image.FLIP_TOP_BOTTOM],
        5: [Image.TRANSPOSE],
        6: [Image.ROTATE_90],
        7: [Image.TRANSVERSE],
        8: [Image.ROTATE_270],
    }
    exif = Image.Exif()
    exif[0x0112] = tag
    for step in back.get(tag, ()):
        image = image.transpose(step)
    image.save(str(path), exif=exif.tobytes(), **options)


@pytest.fixture
def picture():
    return Image.fromarray(np.random.RandomState(3).randint(0, 256, (5, 9, 3)).astype(np.uint8))


@pytest.mark.parametrize("tag", range(1, 9))
def test_training_sees_what_a_viewer_shows(tag, picture, tmp_path):
    turned(picture, tmp_path / "a.png", tag)
    assert (np.asarray(read_rgb(str(tmp_path / "a.png"))) == np.asarray(picture)).all()
    mask = Image.fromarray(np.zeros((5, 9), np.uint8))
    mask.save(str(tmp_path / "mask.png"))
    files = [(str(tmp_path / "a.png"), str(tmp_path / "mask.png"))]
    load = BatchLoader(files, [ColorStream(np.zeros(3)), LabelStream(read_label, 1)])
    image, _ = load([(0, 0)])
    assert (image[0].transpose(1, 2, 0)[:, :, ::-1] == np.asarray(picture)).all()


def test_a_mask_drawn_over_the_stored_pixels_is_told_why_it_does_not_fit(picture, tmp_path):
    turned(picture, tmp_path / "a.png", 6)
    Image.fromarray(np.zeros((9, 5), np.uint8)).save(str(tmp_path / "mask.png"))
    files = [(str(tmp_path / "a.png"), str(tmp_path / "mask.png"))]
    load = BatchLoader(files, [ColorStream(np.zeros(3)), LabelStream(read_label, 1)])
    with pytest.raises(DataError, match="EXIF orientation 6 and is read upright"):
        load([(0, 0)])


def test_label_maps_that_say_they_are_turned_are_refused(tmp_path):
    path = str(tmp_path / "m.png")
    for read, array in (
        (read_label, np.zeros((4, 6), np.uint8)),
        (read_depth, np.full((4, 6), 900, np.uint16)),
        (read_hha, np.zeros((4, 6, 3), np.uint8)),
    ):
        turned(Image.fromarray(array), path, 3)
        with pytest.raises(DataError, match="m.png' has EXIF orientation 3"):
            read(path)


def test_postscript_is_not_run_whatever_it_is_called(tmp_path):
    """Pillow would hand it to Ghostscript, which runs it; a loop in it never ends."""
    path = tmp_path / "photo.jpg"
    path.write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n{} loop\n%%EOF\n"
    )
    for read in (read_rgb, read_label):
        with pytest.raises(DataError, match="photo.jpg"):
            read(str(path))


def test_a_fifo_is_not_waited_for(tmp_path):
    os.mkfifo(str(tmp_path / "f.png"))
    with pytest.raises(DataError, match="no file"):
        read_rgb(str(tmp_path / "f.png"))


def test_formats_that_people_have(tmp_path):
    picture = Image.fromarray(np.full((4, 5, 3), 90, np.uint8))
    for ending in ("bmp", "gif", "jpg", "png", "ppm", "tif", "webp"):
        path = str(tmp_path / f"p.{ending}")
        picture.save(path)
        assert abs(np.asarray(read_rgb(path)).astype(int) - 90).max() <= 3, ending


def test_two_pictures_in_one_jpeg(picture, tmp_path):
    Image.init()
    if "MPO" not in Image.SAVE_ALL:
        pytest.skip("this Pillow writes no MPO")
    """Telephones put a second picture behind the first (MPO): the first counts."""
    path = str(tmp_path / "p.jpg")
    picture.save(path, "MPO", save_all=True, append_images=[picture])
    assert read_rgb(path).size == picture.size


@pytest.mark.parametrize("ending", ["gif", "webp", "tif"])
def test_the_first_of_several_pictures_and_how_many_there_are(tmp_path, ending):
    path = str(tmp_path / f"p.{ending}")
    # Levels of the palette that older Pillow writes GIFs in.
    first, second = (Image.new("RGB", (8, 8), (level,) * 3) for level in (204, 51))
    first.save(path, save_all=True, append_images=[second, first])
    image, several = read_first(path)
    assert several == 3 and abs(image.getpixel((4, 4))[0] - 204) < 4


def test_pictures_that_only_further_packages_read_are_named(tmp_path):
    heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64)
    (tmp_path / "IMG_0001.HEIC").write_bytes(heic)
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "page.png").write_bytes(b"<html>")
    has_heif = importlib.util.find_spec("pillow_heif")
    for name, words in (
        ("IMG_0001.HEIC", "" if has_heif else "it is HEIC: pip install"),
        ("empty.jpg", "it is empty"),
        ("page.png", "it is none of BMP, GIF"),
    ):
        with pytest.raises(DataError, match=f"cannot read the image '.*{name}': {words}"):
            read_rgb(str(tmp_path / name))
    with pytest.raises(DataError, match="cannot read the image 'x'"):
        read_rgb("x", io.BytesIO(heic))


def test_heic_and_avif_where_a_package_reads_them(tmp_path):
    picture = Image.fromarray(np.full((16, 24, 3), 90, np.uint8))
    tried = 0
    for package, ending in (("PIL.AvifImagePlugin", "avif"), ("pillow_heif", "heic")):
        try:
            plugin = importlib.import_module(package)
        except ImportError:
            continue
        if ending == "heic":
            plugin.register_heif_opener()
        path = str(tmp_path / f"p.{ending}")
        try:
            picture.save(path)
        except OSError:  # built without that encoder
            continue
        tried += 1
        assert abs(np.asarray(read_rgb(path)).astype(int) - 90).max() <= 3, ending
    if not tried:
        pytest.skip("needs Pillow 11.2 with libavif, or pillow-heif")


def test_to_rgb_lays_transparency_over_white():
    image = Image.new("RGBA", (2, 1), (10, 20, 30, 0))
    image.putpixel((1, 0), (10, 20, 30, 255))
    assert np.array(to_rgb(image)).tolist() == [[[255, 255, 255], [10, 20, 30]]]


@pytest.mark.parametrize(
    "mode, value, want",
    [
        ("L", 9, (9, 9, 9)),
        ("1", 1, (255, 255, 255)),
        ("I", 0x1234, (0x12,) * 3),
        ("LA", (9, 255), (9, 9, 9)),
        ("CMYK", (0, 255, 255, 0), (255, 0, 0)),
    ],
)
def test_to_rgb_of_other_modes(mode, value, want):
    assert to_rgb(Image.new(mode, (1, 1), value)).getpixel((0, 0)) == want


def test_to_rgb_refuses_floats():
    with pytest.raises(DataError, match="floating-point"):
        to_rgb(Image.new("F", (1, 1), 0.5))


def test_why_a_stream_is_no_image_is_told_from_its_bytes():
    """Pillow leaves a stream at its end; what it holds is read from where it was."""
    stream = io.BytesIO(b"skipped" + b"no image")
    stream.seek(7)
    assert "none of BMP" in raised(DataError, read_rgb, "notes.txt", stream)
    assert "it is empty" in raised(DataError, read_rgb, "nothing.txt", io.BytesIO())
