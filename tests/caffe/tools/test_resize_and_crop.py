"""resize_and_crop_images: middle squares of one size, under the same names."""

import numpy as np
import pytest
from PIL import Image

from caffe.cli import main
from caffe.tools import resize_and_crop


@pytest.fixture
def folder(tmp_path):
    rng = np.random.RandomState(0)
    for name, size in (
        ("a/wide one.png", (40, 90, 3)),
        ("b/tall.jpg", (70, 30, 3)),
        ("grey.png", (8, 8)),
    ):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.randint(0, 256, size).astype(np.uint8)).save(path)
    (tmp_path / "list").write_text(f"a/wide one.png\nb/tall.jpg 3\n{tmp_path}/in/grey.png\n")
    return tmp_path


def call(folder, *more):
    return main(
        ["resize_and_crop_images", f"-input={folder}/list", f"-input_folder={folder}/in"]
        + [f"-output_folder={folder}/out", "-output_side_length=20", *more]
    )


@pytest.mark.parametrize("library", ["opencv", "PIL"])
def test_every_image_is_a_square(folder, library, capsys):
    assert call(folder, f"--image_lib={library}") == 0
    for name in ("a/wide one.png", "b/tall.jpg", "grey.png"):
        with Image.open(folder / "out" / name) as image:
            assert image.size == (20, 20)
    assert "wrote 3 images" in capsys.readouterr().out


def test_the_numbers_are_opencvs(folder):
    cv2 = pytest.importorskip("cv2")
    image = np.random.RandomState(1).randint(0, 256, (41, 97, 3)).astype(np.uint8)
    resized = cv2.resize(image, (20 * 97 // 41, 20))  # width 47: 13 columns are cut off the left
    got = resize_and_crop.middle_opencv(image, 20)
    np.testing.assert_array_equal(got, resized[:, 13:33])


def test_what_cannot_be_read_is_told_and_left_out(folder, capsys):
    (folder / "in" / "b" / "tall.jpg").write_bytes(b"no image")
    assert call(folder, "-num_clients=2") == 1
    told = capsys.readouterr()
    assert "tall.jpg" in told.err and "wrote 2 images" in told.out
    assert (folder / "out" / "grey.png").exists() and not (folder / "out" / "b").exists()


@pytest.mark.parametrize(
    "more, word",
    [
        (["-image_lib=gd"], "opencv or pil"),
        (["-output_side_length=0"], "65500"),
        (["-output_folder={}/in"], "replaced"),
        (["-input={}/gone"], "gone"),
        (["-input={}/outside"], "not below"),
    ],
)
def test_what_would_do_harm_is_refused(folder, capsys, more, word):
    (folder / "outside").write_text("../list\n")
    before = (folder / "in" / "grey.png").read_bytes()
    assert call(folder, *(text.format(folder) for text in more)) == 1
    assert word in capsys.readouterr().err
    assert (folder / "in" / "grey.png").read_bytes() == before and not (folder / "out").exists()
