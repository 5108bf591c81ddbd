"""examples/mtcnn.py: its geometry by itself; with the published nets where a checkout has them."""

import os

import numpy as np
import pytest
from PIL import Image

import bootstrap
from examples import mtcnn

FCN_DATA = os.environ.get("FCN_DATA", os.path.join(bootstrap.ROOT, os.pardir, "shared", "data"))
NETS = os.path.join(FCN_DATA, "caffemodels", "mtcnn")


def test_of_overlapping_boxes_the_best_stays():
    boxes = np.array(
        [[0, 0, 9, 9, 0.7], [1, 0, 10, 9, 0.9], [20, 20, 29, 29, 0.8], [22, 22, 25, 25, 0.75]]
    )
    assert mtcnn.suppressed(boxes, 0.5).tolist() == [1, 2, 3]
    assert mtcnn.suppressed(boxes, 0.5, smaller=True).tolist() == [1, 2]
    assert mtcnn.suppressed(boxes, 0.9).tolist() == [1, 2, 3, 0]
    assert mtcnn.suppressed(boxes[:0], 0.5).tolist() == []


def test_offsets_are_shares_of_the_box():
    box = np.array([[10, 20, 19, 39, 0.5]])  # 10 wide, 20 high
    moved = mtcnn.moved(box, np.array([[0.1, 0.1, -0.1, 0.2]]))
    assert moved.tolist() == [[11, 22, 18, 43, 0.5]]


def test_a_square_keeps_the_centre_and_the_longer_side():
    assert mtcnn.squared(np.array([[0.0, 10, 10, 30, 1]])).tolist() == [[-5, 10, 15, 30, 1]]


def test_what_lies_in_a_box_is_seen_with_rows_and_columns_exchanged():
    pixels = np.zeros((30, 40, 3), np.uint8)
    pixels[5:29, 7:31] = np.random.RandomState(0).randint(0, 256, (24, 24, 3))
    (part,) = mtcnn.cut(Image.fromarray(pixels), np.array([[8, 6, 31, 29]]), 24)
    want = (pixels[5:29, 7:31].astype(float) - 127.5) / 128
    np.testing.assert_allclose(part, want.transpose(2, 1, 0), atol=1e-6)
    beyond = mtcnn.cut(Image.fromarray(pixels), np.array([[-50, -50, -27, -27]]), 24)
    np.testing.assert_allclose(beyond, -127.5 / 128, rtol=1e-6)


def test_boxes_and_dots_are_drawn_on_a_copy():
    image = Image.new("RGB", (50, 40))
    drawn = mtcnn.drawn(image, np.array([[5, 6, 30, 31, 0.9]]), np.full((1, 5, 2), 15.0))
    assert drawn.getpixel((5, 20)) == (255, 220, 0) and drawn.getpixel((15, 15)) == (0, 220, 80)
    assert image.getcolors() == [(2000, (0, 0, 0))]


@pytest.mark.skipif(not os.path.isdir(NETS), reason="MTCNN's nets are not there")
@pytest.mark.filterwarnings("ignore")
def test_the_published_nets_find_the_astronaut_and_nothing_in_noise(tmp_path, capsys):
    """The face in the README's picture, by itself and further right in a wider one."""
    with Image.open(os.path.join(bootstrap.ROOT, "docs", "images", "photos.jpg")) as sheet:
        face = sheet.crop((0, 0, 240, 240)).resize((480, 480), Image.BICUBIC)
    wide = Image.new("RGB", (900, 480), (90, 110, 130))
    wide.paste(face, (400, 0))
    nets = mtcnn.load(NETS)
    boxes, points = mtcnn.detect(nets, face)
    assert len(boxes) == 1 and boxes[0, 4] > 0.95
    left, top, right, bottom = boxes[0, :4]
    assert 150 < left < right < 270 and 40 < top < bottom < 180  # 180, 60 to 268, 174 of 512
    (eye, other, nose, corner, last) = points[0]
    assert eye[0] < nose[0] < other[0] and corner[0] < last[0]
    assert max(eye[1], other[1]) < nose[1] < min(corner[1], last[1])
    (shifted,), _ = mtcnn.detect(nets, wide)
    assert np.abs(shifted[:4] - boxes[0, :4] - (400, 0, 400, 0)).max() < 15
    noise = np.random.RandomState(0).randint(0, 256, (60, 80, 3)).astype(np.uint8)
    assert len(mtcnn.detect(nets, Image.fromarray(noise))[0]) == 0
    face.save(tmp_path / "face.png")
    mtcnn.main([str(tmp_path / "face.png"), "--nets", NETS, "--out", str(tmp_path / "faces.png")])
    assert "1 faces; wrote" in capsys.readouterr().out
    with Image.open(str(tmp_path / "faces.png")) as image:
        assert np.abs(np.array(image, int) - np.array(face)).max() > 100
