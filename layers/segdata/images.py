"""Reading images and label maps from files, whatever their mode; every error names the file."""

import contextlib
import os

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from segdata.errors import DataError

__all__ = [
    "ENDINGS",
    "FORMATS",
    "IGNORE",
    "check_label",
    "label_array",
    "open_image",
    "orientation",
    "read_first",
    "read_label",
    "read_rgb",
    "refuse_turned",
    "to_rgb",
]

#: The label of pixels that count neither in the loss nor in the scores.
IGNORE = 255


#: What images and masks come in. Pillow knows more, PostScript among them, which it hands to a
#: program of its own: whatever a file's name says, it must not run as one.
#: The first five are what `Image.preinit` loads: the next one makes Pillow load all it has.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "JPEG2000", "TIFF", "WEBP")

#: How the names of images and masks end, in folders.
ENDINGS = tuple(
    ".png .jpg .jpeg .jfif .bmp .tif .tiff .webp .gif .ppm .pgm .pnm .jp2 .avif .heic .heif".split()
)

#: What the fifth to twelfth byte of AVIF and HEIC files are, and what reads these: Pillow's own
#: plugin from 11.2 on, and the package pillow-heif.
_AVIF = (b"ftypavif", b"ftypavis")
_HEIC = tuple(b"ftyp" + brand for brand in (b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1"))

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
    begin = file.tell() if file else 0
    Image.preinit()  # Pillow 12 would load the one format that the file's name tells, then all
    try:
        with Image.open(file or path, formats=_formats(file or path)) as image:
            if decode:
                image.load()
            yield image
    except DataError:
        raise
    except UnidentifiedImageError as error:
        if file:  # Pillow leaves it anywhere
            file.seek(begin)
        raise DataError(f"cannot read the {what} '{path}': {_why(file or path)}") from error
    # Pillow reports damaged files by several types: OSError for most (also "cannot identify"),
    # SyntaxError and ValueError for broken headers, DecompressionBombError for absurd sizes.
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"cannot read the {what} '{path}': {error}") from error


def _first_bytes(source) -> bytes:
    """The first twelve of a path or a file object, which stays where it is."""
    if hasattr(source, "read"):
        where = source.tell()
        start = source.read(12)
        source.seek(where)
        return start
    with open(source, "rb") as file:
        return file.read(12)


def _formats(source) -> tuple:
    """FORMATS, and the one of a source that only newer or further packages read."""
    kind = _first_bytes(source)[4:12]
    try:
        if kind in _AVIF:
            from PIL import AvifImagePlugin  # noqa: F401

            return (*FORMATS, "AVIF")
        if kind in _HEIC:
            from pillow_heif import register_heif_opener

            register_heif_opener()
            return (*FORMATS, "HEIF")
    except ImportError:
        pass  # `_why` says what is missing
    return FORMATS


def _why(source) -> str:
    """Why a file is no image that can be read."""
    start = _first_bytes(source)
    if not start:
        return "it is empty"
    if start[4:12] in _AVIF:
        return "it is AVIF, which Pillow reads from 11.2 on; convert it to JPEG or PNG"
    if start[4:12] in _HEIC:
        return 'it is HEIC: pip install "pillow-heif>=0.16" reads it, or convert it to JPEG'
    return f"it is none of {', '.join(FORMATS)}"


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
    return read_first(path, file)[0]


def read_first(path: str, file=None) -> tuple:
    """As `read_rgb`, and how many pictures the file holds: an animation's, a TIFF's pages.

    JPEGs count as one: telephones put a smaller copy or a map of depths behind the photo.
    """
    with open_image(path, file=file) as image:
        try:
            turned = ImageOps.exif_transpose(image) if orientation(image) > 1 else image
            # A copy, because the file's image is closed on the way out.
            return to_rgb(turned).copy(), _pictures(image)
        except DataError as error:
            raise DataError(f"cannot use the image '{path}': {error}") from error


def _pictures(image: Image.Image) -> int:
    """How many an opened file holds; 1 where what follows the first one is damaged."""
    if image.format in ("JPEG", "MPO"):
        return 1
    try:
        return int(getattr(image, "n_frames", 1))
    except Exception:  # Pillow's plugins raise whatever the damage leads to
        return 1


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
