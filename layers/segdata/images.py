"""Reading images and label maps from files, whatever their mode; every error names the file."""

import contextlib
import os

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from segdata.errors import DataError

__all__ = [
    "FORMATS",
    "IGNORE",
    "check_label",
    "label_array",
    "open_image",
    "orientation",
    "read_label",
    "read_rgb",
    "refuse_turned",
    "to_rgb",
]

#: The label of pixels that count neither in the loss nor in the scores.
IGNORE = 255


#: What images and masks come in. Pillow knows more, PostScript among them, which it hands to a
#: program of its own: whatever a file's name says, it must not run as one.
FORMATS = ("BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")

#: EXIF's tag of how a picture is to be turned; 1: not at all.
_ORIENTATION = 0x0112


@contextlib.contextmanager
def open_image(path: str, what: str = "image", decode: bool = True, file=None):
    """Open and decode ``path``; what Pillow raises becomes a DataError that names the file.

    Without ``decode`` only the header is read. ``file``: a file object to read from, which
    ``path`` then only names.
    """
    if file is None and not os.path.isfile(path):  # a FIFO would be waited for without end
        raise DataError(f"missing {what}: no file '{os.path.abspath(path)}'")
    try:
        with Image.open(file or path, formats=FORMATS) as image:
            if decode:
                image.load()
            yield image
    except DataError:
        raise
    except UnidentifiedImageError as error:
        # Pillow names the file, or an object in memory, which says nothing to anybody.
        why = f"it is none of {', '.join(FORMATS)}" if file else error
        raise DataError(f"cannot read the {what} '{path}': {why}") from error
    # Pillow reports damaged files by several types: OSError for most (also "cannot identify"),
    # SyntaxError and ValueError for broken headers, DecompressionBombError for absurd sizes.
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"cannot read the {what} '{path}': {error}") from error


def to_rgb(image: Image.Image) -> Image.Image:
    """Any image as 8-bit RGB: grey, palette, CMYK, 16-bit; transparency is laid over white."""
    if image.mode == "RGB":
        return image
    if image.mode == "F":
        raise DataError("a floating-point image has no fixed range; convert it to 8 bits first")
    if image.mode.startswith("I"):  # I;16, I;16B, or I: how older Pillow opens a 16-bit PNG
        grey = np.clip(np.asarray(image).astype(np.int64), 0, 65535)
        return Image.fromarray((grey >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        # Plain conversion would show whatever colour is stored under transparent pixels.
        front = image.convert("RGBA")
        back = Image.new("RGBA", front.size, (255, 255, 255, 255))
        return Image.alpha_composite(back, front).convert("RGB")
    return image.convert("RGB")


def orientation(image: Image.Image) -> int:
    """How an opened image is to be turned to be seen upright, 1 to 8 as EXIF counts; 1: it is."""
    value = image.getexif().get(_ORIENTATION, 1)
    return value if value in range(2, 9) else 1


def read_rgb(path: str, file=None) -> Image.Image:
    """The image in ``path`` as a decoded RGB Pillow image, upright as viewers show it.

    Telephones store a picture as their sensor lies and say in EXIF how to turn it. ``file``: see
    `open_image`.
    """
    with open_image(path, file=file) as image:
        try:
            turned = ImageOps.exif_transpose(image) if orientation(image) > 1 else image
            # A copy, because the file's image is closed on the way out.
            return to_rgb(turned).copy()
        except DataError as error:
            raise DataError(f"cannot use the image '{path}': {error}") from error


def refuse_turned(image: Image.Image, path: str, what: str) -> None:
    """Raise where a label map, a depth or HHA image says that it is to be turned.

    Nobody can tell whether its pixels were turned already when the tag was copied to it.
    """
    if orientation(image) > 1:
        raise DataError(
            f"{what} '{path}' has EXIF orientation {orientation(image)}, so it is unclear which "
            "way up its pixels are; save it upright and without that tag"
        )


def label_array(image: Image.Image, path: str) -> np.ndarray:
    """Class numbers, uint8 (H, W), of an opened label image: palette indices or grey levels."""
    if image.mode not in ("P", "L"):
        raise DataError(
            f"label '{path}' is a {image.mode} image; expected class numbers as a palette or "
            "8-bit grey image"
        )
    return np.array(image, dtype=np.uint8)


def read_label(path: str) -> np.ndarray:
    """The label map in ``path`` as uint8 (H, W)."""
    with open_image(path, "label") as image:
        refuse_turned(image, path, "label")
        return label_array(image, path)


def check_label(label: np.ndarray, classes: int, path: str) -> None:
    """Raise unless every value is below ``classes`` or 255 (ignore).

    Caffe's loss reads memory out of bounds for such a value, on the GPU without a word.
    """
    counts = np.bincount(label.ravel(), minlength=256)
    bad = np.flatnonzero(counts[classes:IGNORE]) + classes
    if not len(bad):
        return
    value = int(bad[0])
    y, x = (int(i) for i in np.argwhere(label == value)[0])
    raise DataError(
        "label '{}' holds {} at x={}, y={} ({} pixels); expected 0 to {}, or 255 for ignored "
        "pixels{}".format(
            path,
            value,
            x,
            y,
            int(counts[value]),
            classes - 1,
            ""
            if len(bad) == 1
            else "; other values out of range: {}".format(", ".join(str(int(v)) for v in bad[1:6])),
        )
    )
