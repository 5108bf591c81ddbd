"""What each kind of file becomes in a top: order of channels, means, logarithms, padding."""

import numpy as np
import pytest
from PIL import Image

from segdata import DataError
from segdata.streams import ColorStream, DepthStream, HHAStream, LabelStream, Stream

PIXELS = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
MEAN = np.array((1.0, 2.0, 3.0), np.float32)


def written(stream, pixels, size=None, **more):
    out = np.full((stream.channels, *(size or pixels.shape[:2])), 77, stream.dtype)
    stream.write(out, pixels, **more)
    return out


def test_colour_is_bgr_less_the_mean():
    found = written(ColorStream(MEAN), PIXELS)
    for channel, (source, mean) in enumerate(zip((2, 1, 0), MEAN)):
        assert np.array_equal(found[channel], PIXELS[..., source] - mean)


def test_light_multiplies_before_the_mean_and_stops_at_white():
    found = written(ColorStream(MEAN), np.full((1, 1, 3), 200, np.uint8), gain=(2.0, 1.0, 0.5))
    assert found.ravel().tolist() == [255 - 1, 200 - 2, 100 - 3]


def test_hha_keeps_the_order_of_its_file():
    found = written(HHAStream(MEAN), PIXELS)
    assert found[:, 0, 0].tolist() == [0 - 1, 1 - 2, 2 - 3]


def test_depth_is_a_logarithm(tmp_path):
    path = str(tmp_path / "d.png")
    Image.fromarray(np.array([[1000, 2000]], np.uint16)).save(path)
    stream = DepthStream(7.844)
    found = written(stream, np.asarray(stream.read(path)))
    np.testing.assert_allclose(found, np.log([[[1000, 2000]]]) - 7.844, rtol=1e-6)


def test_depth_of_zero_is_an_error_unless_something_stands_for_it(tmp_path):
    path = str(tmp_path / "d.png")
    Image.fromarray(np.array([[1000, 0]], np.uint16)).save(path)
    with pytest.raises(DataError, match="holds 0 at x=1, y=0 .* has no logarithm"):
        DepthStream(0).read(path)
    assert np.asarray(DepthStream(0, nearest=300).read(path)).tolist() == [[1000, 300]]


def test_what_lies_beyond_the_image_is_padded():
    label = LabelStream(lambda path: PIXELS[..., 0], 10)
    found = written(label, PIXELS[..., 0], (3, 4), at=(1, 2))
    assert found[0, 1:, 2:].tolist() == PIXELS[..., 0].tolist()
    assert (found == 255).sum() == 12 - 4
    found = written(ColorStream(MEAN), PIXELS, (3, 4), at=(0, 1))
    assert (found[:, 2] == 0).all() and (found[:, :, 0] == 0).all()


def test_labels_are_checked_as_they_are_read():
    assert LabelStream(lambda path: np.array([[0, 255]], np.uint8), 1).read("x").size == (2, 1)
    with pytest.raises(DataError, match="'x' holds 3 at x=1, y=0"):
        LabelStream(lambda path: np.array([[0, 3]], np.uint8), 3).read("x")


def test_a_stream_must_say_how():
    with pytest.raises(TypeError, match=r"Stream must define read\(\)"):
        Stream().read("x")
    with pytest.raises(TypeError, match=r"Stream must define fill\(\)"):
        Stream().fill(None, None, None)
