"""Image files: what OpenCV 4.5.1 makes of them, by its rules written out; damaged files."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from caffe.data import image_files
from caffe.errors import DataError

RNG = np.random.RandomState(0)
NOISE = RNG.randint(0, 256, (5, 7, 3)).astype(np.uint8)  # RGB


def file_of(pixels, format, **options):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format, **options)
    return stream.getvalue()


def png(pixels, color_type, chunks=()):
    """A PNG file of uint8 or big-endian uint16 pixels."""
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    height, width = pixels.shape[:2]
    head = struct.pack(">IIBBBBB", width, height, 8 * pixels.dtype.itemsize, color_type, 0, 0, 0)
    parts = [(b"IHDR", head), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in parts
    )


def decoded(data, color=True):
    return image_files.decode(data, color)


@pytest.mark.parametrize("format", ["PNG", "BMP", "PPM", "TIFF"])
def test_colour_is_bgr(format):
    np.testing.assert_array_equal(decoded(file_of(NOISE, format)), NOISE[:, :, ::-1])


@pytest.mark.parametrize("format", ["PNG", "BMP", "PPM", "TIFF"])
def test_a_grey_file_has_three_equal_channels_in_colour_and_its_own_in_grey(format):
    data = file_of(NOISE[:, :, 0], format)
    np.testing.assert_array_equal(decoded(data), np.repeat(NOISE[:, :, :1], 3, 2))
    np.testing.assert_array_equal(decoded(data, False), NOISE[:, :, :1])


def test_grey_of_colour_is_cut_off_for_png_and_rounded_for_bmp():
    wide = NOISE.astype(int)
    expected = (wide @ [9797, 19234, 3737]) >> 15
    np.testing.assert_array_equal(decoded(file_of(NOISE, "PNG"), False)[:, :, 0], expected)
    expected = (wide @ [4899, 9617, 1868] + (1 << 13)) >> 14
    np.testing.assert_array_equal(decoded(file_of(NOISE, "BMP"), False)[:, :, 0], expected)


def test_grey_of_a_png_with_gamma_is_made_in_linear_light():
    pixels = np.uint8([[[255, 0, 0], [90, 90, 90]]])
    data = png(pixels, 2, [(b"gAMA", struct.pack(">I", 45455))])
    grey = decoded(data, False)[0, :, 0]
    linear = 255 * 9797 / 32768  # red alone: 76 of 255 in linear light
    assert grey.tolist() == [round(255 * (round(linear) / 255) ** 0.45455), 90]


def test_alpha_is_dropped_in_colour_and_kept_in_native_channels():
    rgba = np.dstack([NOISE, NOISE[:, :, 0]])
    data = file_of(rgba, "PNG")
    np.testing.assert_array_equal(decoded(data), NOISE[:, :, ::-1])
    np.testing.assert_array_equal(decoded(data, None), rgba[:, :, [2, 1, 0, 3]])
    assert decoded(file_of(NOISE[:, :, 0], "PNG"), None).shape == (5, 7, 1)


def test_alpha_of_a_tiff_is_multiplied_in():
    rgba = np.uint8([[[200, 100, 50, 128], [9, 9, 9, 0]]])
    assert decoded(file_of(rgba, "TIFF"))[0].tolist() == [[25, 50, 100], [0, 0, 0]]


def test_a_palette_is_resolved():
    image = Image.fromarray(NOISE).quantize(9)
    stream = io.BytesIO()
    image.save(stream, "PNG", transparency=bytes(range(9)))
    expected = np.asarray(image.convert("RGB"))[:, :, ::-1]
    np.testing.assert_array_equal(decoded(stream.getvalue()), expected)
    assert decoded(stream.getvalue(), None).shape == (5, 7, 4)


def test_16_bits_keep_the_high_byte():
    deep = RNG.randint(0, 1 << 16, (5, 7, 3)).astype(">u2")
    np.testing.assert_array_equal(decoded(png(deep, 2)), (deep >> 8)[:, :, ::-1])
    grey = (deep.astype(np.int64) @ [9797, 19234, 3737] + (1 << 14)) >> 15 >> 8
    np.testing.assert_array_equal(decoded(png(deep, 2), False)[:, :, 0], grey)
    with pytest.raises(DataError, match="16 bits"):
        decoded(png(deep, 2), None)
    with pytest.raises(DataError, match="16 bits"):
        decoded(png(deep[:, :, 0], 0), None)


@pytest.mark.parametrize("maximum, kind, shift", [(100, np.uint8, 0), (1000, ">u2", 8)])
def test_the_maximum_of_a_pnm_file_is_ignored(maximum, kind, shift):
    values = (RNG.randint(0, maximum + 1, (5, 7))).astype(kind)
    data = f"P5 7 5 {maximum}\n".encode() + values.tobytes()
    np.testing.assert_array_equal(decoded(data, False)[:, :, 0], values >> shift)
    with pytest.raises(DataError, match=f"{len(data) - 3} bytes"):
        decoded(data[:-3])


def test_high_colour_bmp_shifts_its_bits_up():
    values = np.uint16([0x7FFF, 0x0001, 0x4210, 0x0000])
    body = values.astype("<u2").tobytes()
    head = struct.pack("<IiiHHIIiiII", 40, 4, 1, 1, 16, 0, len(body), 0, 0, 0, 0)
    data = b"BM" + struct.pack("<IHHI", 54 + len(body), 0, 0, 54) + head + body
    assert decoded(data)[0].tolist() == [[248] * 3, [8, 0, 0], [128] * 3, [0] * 3]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_of_jpeg(orientation):
    gradient = np.add.outer(np.arange(16) * 10, np.arange(24) * 2).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = file_of(gradient, "JPEG", quality=95, exif=exif)
    plain = gradient if orientation < 5 else gradient.T
    found = decoded(data, False)
    assert found.shape[:2] == plain.shape
    turned = {1: plain, 2: plain[:, ::-1], 3: plain[::-1, ::-1], 4: plain[::-1], 5: plain,
              6: plain[:, ::-1], 7: plain[::-1, ::-1], 8: plain[::-1]}[orientation]  # fmt: skip
    assert np.abs(found[:, :, 0].astype(int) - turned).max() <= 3
    assert decoded(data, None).shape == (16, 24, 1)  # as it lies in the file


def test_jpeg_grey_is_the_luminance_plane():
    smooth = np.repeat(np.repeat(NOISE[:2, :3], 8, 0), 8, 1)
    data = file_of(smooth, "JPEG", quality=95)
    luminance = smooth @ np.array([0.299, 0.587, 0.114])
    assert np.abs(decoded(data, False)[:, :, 0] - luminance).max() <= 8
    assert decoded(data).shape == (16, 24, 3)


# Resizing: values that OpenCV 4.5.1 gave; the comparison with the oracle has many more.


def test_resize_up():
    row = np.uint8([[[0], [100], [255]]])
    assert image_files.resize(row, 1, 6)[0, :, 0].tolist() == [0, 25, 75, 139, 216, 255]


def test_exact_halves_are_means_rounded_half_up():
    image = np.uint8([[[0], [1], [9], [9]], [[1], [0], [9], [8]]])
    assert image_files.resize(image, 1, 2)[0, :, 0].tolist() == [1, 9]


def test_resize_down_does_not_smooth():
    row = np.uint8([[[0], [0], [255], [0], [0], [0], [0], [0], [0]]])
    assert image_files.resize(row, 1, 3)[0, :, 0].tolist() == [0, 0, 0]


def test_resize_to_the_same_size_is_a_copy():
    found = image_files.resize(NOISE, 5, 7)
    np.testing.assert_array_equal(found, NOISE)
    assert not np.shares_memory(found, NOISE)


@pytest.mark.parametrize("image, size", [(NOISE.astype(float), (2, 2)), (NOISE, (0, 2)),
                                         (NOISE[:0], (2, 2)), (NOISE[0], (2, 2))])  # fmt: skip
def test_what_cannot_be_resized(image, size):
    with pytest.raises(DataError, match="expected a uint8 image"):
        image_files.resize(image, *size)


# Errors


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"Could not open or find file .*gone.png: No such file"):
        image_files.read(tmp_path / "gone.png")


@pytest.mark.parametrize("data", [b"", b"text", file_of(NOISE, "PNG")[:60],
                                  file_of(NOISE, "JPEG")[:300], file_of(NOISE, "BMP")[:70],
                                  file_of(NOISE, "TIFF")[:50]])  # fmt: skip
def test_damaged_files_are_one_error(tmp_path, data):
    path = tmp_path / "bad.png"
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"Could not decode image .*bad.png"):
        image_files.read(path)


def test_impossible_sizes_are_refused_before_anything_is_allocated():
    data = bytearray(file_of(NOISE, "BMP"))
    data[18:22] = struct.pack("<I", (1 << 20) + 1)
    with pytest.raises(DataError, match="more than 1048576 a side"):
        decoded(bytes(data))
