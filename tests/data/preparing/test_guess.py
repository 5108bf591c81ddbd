"""What masks mean is found from the masks alone."""

import numpy as np
import pytest
from PIL import Image

from data.preparing.colours import read_colours
from data.preparing.guess import VOID, guess, write_palette


def masks(folder, *arrays, palette=None, ending=".png"):
    paths = []
    for i, array in enumerate(arrays):
        image = Image.fromarray(np.array(array, np.uint8))
        if palette is not None:
            image.putpalette([value for colour in palette[i] for value in colour])
        paths.append(str(folder / f"{i}{ending}"))
        image.save(paths[-1])
    return paths


def test_class_numbers(tmp_path):
    found = guess(masks(tmp_path, [[0, 1], [3, 255]], [[2, 2], [1, 1]]))
    assert found.kind == "numbers" and found.palette == ()
    assert found.text == "class numbers from 0 to 3, 255 does not count"


def test_palette_files_keep_their_colours(tmp_path):
    colours = [(0, 0, 0), (200, 10, 10), (10, 200, 10)]
    found = guess(masks(tmp_path, [[0, 1]], [[2, 2]], palette=[colours, colours]))
    assert found.kind == "numbers" and found.palette == tuple(colours)


def test_palettes_of_which_each_has_its_own_order_are_colours(tmp_path):
    red, green = (200, 10, 10), (10, 200, 10)
    found = guess(masks(tmp_path, [[0, 1]], [[0, 1]], palette=[[red, green], [green, red]]))
    assert found.kind == "colours" and found.colours == (green, red)


def test_black_and_white_is_background_and_foreground(tmp_path):
    found = guess(masks(tmp_path, [[0, 255]]))
    assert (found.kind, found.values) == ("values", (0, 255))
    assert found.names == ("background", "foreground")
    # The same, saved as RGB or with one bit.
    assert guess(masks(tmp_path, [[[0, 0, 0], [255, 255, 255]]])).values == (0, 255)
    Image.fromarray(np.array([[True, False]])).save(tmp_path / "bit.png")
    assert guess([str(tmp_path / "bit.png")]).values == (0, 255)


def test_scattered_grey_values_are_classes(tmp_path):
    found = guess(masks(tmp_path, [[0, 64, 128]], [[200, 64, 0]]))
    assert (found.kind, found.values) == ("values", (0, 64, 128, 200))


def test_colours_are_written_as_a_palette_that_is_read_again(tmp_path):
    cells = [[(0, 0, 0), (200, 10, 10)], [VOID, (10, 10, 200)]]
    found = guess(masks(tmp_path, cells))
    assert found.colours == ((0, 0, 0), (10, 10, 200), (200, 10, 10)) and found.void == VOID
    path = str(tmp_path / "new" / "palette.txt")
    write_palette(path, found, ["background", "sea", "land"])
    labels, names, palette = read_colours(path)
    assert names == ["background", "sea", "land"] and labels[VOID] == 255
    assert palette[1].tolist() == [10, 10, 200]
    write_palette(path, found, list(found.names))  # the names that it gives itself
    assert read_colours(path)[1] == ["background", "colour 0a0ac8", "colour c80a0a"]


def test_what_is_no_mask_is_said_to_be_none(tmp_path):
    smooth = np.random.RandomState(0).randint(0, 255, (40, 40, 3))
    with pytest.raises(ValueError, match="different colours"):
        guess(masks(tmp_path, smooth))
    with pytest.raises(ValueError, match="different values"):
        guess(masks(tmp_path, smooth[..., 0]))
    with pytest.raises(ValueError, match="JPEG does not"):
        guess(masks(tmp_path, smooth[..., 0], ending=".jpg"))


def test_a_file_that_cannot_be_read_does_not_count(tmp_path):
    paths = masks(tmp_path, [[0, 1]])
    (tmp_path / "bad.png").write_bytes(b"no image")
    assert guess([*paths, str(tmp_path / "bad.png")]).kind == "numbers"
