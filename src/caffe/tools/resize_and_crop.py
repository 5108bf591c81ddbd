"""``caffe resize_and_crop_images``: every image of a list, its middle square at one size.

What BVLC's tools/extra/resize_and_crop_images.py and its launcher do for ImageNet, in processes of
this machine.  ``-image_lib opencv`` resizes the shorter side with OpenCV's bilinear numbers and
cuts out the middle; ``pil`` cuts out the middle and resizes it with Pillow's Lanczos filter, JPEGs
in quality 75.  An image that cannot be read is told and left out; then the exit status is 1.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from types import SimpleNamespace

import numpy as np
from PIL import Image

from caffe.atomic import atomic_write
from caffe.data import image_files
from caffe.errors import DataError, Error
from caffe.tools.convert_imageset import encode
from caffe.tools.flags import Flag, parse, run, usage

__all__ = ["main", "middle_opencv", "middle_pil"]

USAGE = """Resize images and crop their middle to squares, under the same names in another folder.
Usage:
    resize_and_crop_images -input LIST -input_folder FOLDER -output_folder FOLDER [FLAGS]
LIST has one path below the input folder a line; what follows a path, as a label, is skipped."""

FLAGS = {
    "image_lib": Flag("opencv", "whose resizing: opencv or pil"),
    "input": Flag("", "The list of images, one path relative to input_folder each line"),
    "input_folder": Flag("", "The folder that contains all input images"),
    "num_clients": Flag(1, "How many processes work"),
    "output_folder": Flag("", "The folder for the resized and cropped images"),
    "output_side_length": Flag(256, "Expected side length of the output image"),
}


def middle_opencv(image: np.ndarray, side: int) -> np.ndarray:
    """The middle of a uint8 image (H, W, C), whose shorter side is resized to ``side`` pixels."""
    height, width = image.shape[:2]
    new = (side * height // width, side) if height > width else (side, side * width // height)
    resized = image_files.resize(image, *new)
    top, left = (new[0] - side) // 2, (new[1] - side) // 2
    return resized[top : top + side, left : left + side]


def middle_pil(image: np.ndarray, side: int) -> np.ndarray:
    """The middle square of a uint8 image (H, W, C), resized to ``side`` pixels."""
    height, width = image.shape[:2]
    length = min(height, width)
    top, left = (height - length) // 2, (width - length) // 2
    square = np.ascontiguousarray(image[top : top + length, left : left + length])
    return np.asarray(Image.fromarray(square).resize((side, side), Image.Resampling.LANCZOS))


_LIBRARIES: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {
    "opencv": middle_opencv,
    "pil": middle_pil,
}


def main(argv: list[str]) -> int:
    """Run the tool; returns the exit status, 1 where an image was left out.

    Raises:
        DataError: the list cannot be read, or the folders or sizes cannot be used.
    """
    flags, rest = parse(argv, FLAGS, USAGE)
    if rest or not (flags.input and flags.input_folder and flags.output_folder):
        return usage(USAGE, FLAGS)
    _check(flags)
    names = _names(flags.input, flags.input_folder)
    work = partial(_resize, flags=flags)
    if flags.num_clients > 1:
        with ProcessPoolExecutor(flags.num_clients) as pool:
            errors = [error for error in pool.map(work, names, chunksize=16) if error]
    else:
        errors = [error for error in map(work, names) if error]
    for error in errors:
        print(error, file=sys.stderr)
    print(f"wrote {len(names) - len(errors)} images below {flags.output_folder}")
    return 1 if errors else 0


def _check(flags: SimpleNamespace) -> None:
    if flags.image_lib.lower() not in _LIBRARIES:
        raise DataError(f"-image_lib {flags.image_lib}: expected {' or '.join(_LIBRARIES)}")
    if not 1 <= flags.output_side_length <= 65500:
        raise DataError(
            f"-output_side_length {flags.output_side_length}: expected 1 to 65500 pixels"
        )
    if os.path.realpath(flags.input_folder) == os.path.realpath(flags.output_folder):
        raise DataError(
            f"-output_folder is the input folder, {flags.input_folder}: the images would be "
            "replaced. Give another folder."
        )


def _names(listing: str, folder: str) -> list[str]:
    """The paths of a list, below the folder: whole lines, or without the word that follows."""
    try:
        with open(listing, encoding="utf-8", errors="surrogateescape") as stream:
            lines = [line.rstrip("\r\n") for line in stream]
    except OSError as error:
        raise DataError(f"cannot read the list {listing}: {error.strerror or error}") from error
    names = []
    for line in filter(str.strip, lines):
        name = line.removeprefix(folder).lstrip("/")
        if not os.path.exists(os.path.join(folder, name)):
            shorter = name.rstrip().rpartition(" ")[0].rstrip()
            name = shorter or name
        if os.path.normpath(name).split(os.sep)[0] == os.pardir:
            raise DataError(f"{listing}: '{line}' is not below {folder}")
        names.append(name)
    return names


def _resize(name: str, flags: SimpleNamespace) -> str:
    """Make one image; returns what was wrong with it, or nothing."""
    source = os.path.join(flags.input_folder, name)
    target = os.path.join(flags.output_folder, name)
    library = flags.image_lib.lower()
    try:
        square = _LIBRARIES[library](image_files.read(source), flags.output_side_length)
        extension = os.path.splitext(name)[1].removeprefix(".").lower()
        quality = 75 if library == "pil" else 95
        data = encode(square, extension, source, quality)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with atomic_write(target) as stream:
            stream.write(data)
    except (Error, OSError) as error:
        return str(error)
    return ""


if __name__ == "__main__":
    run(main)
