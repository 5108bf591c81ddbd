"""Classify images with caffe.Classifier; the probabilities become a NumPy file.

The input is an image, a folder of images, or a ``.npy`` file of images (N, H, W, C); the output an
array (N, classes), in the order of the files' names.
"""

from __future__ import annotations

import argparse
import glob
import os
import sys
import time
import tokenize
from collections.abc import Sequence

import numpy as np

import caffe
from caffe.atomic import atomic_write
from caffe.errors import DataError, Error

__all__ = ["add_net_arguments", "main", "numbers", "parse", "read_mean", "set_mode"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run with these arguments (default: the process's); returns the exit status."""
    args = parse(_parser(), argv)
    try:
        images = _read_images(args.input_file, args.ext)
        set_mode(args.gpu)
        classifier = caffe.Classifier(
            args.model_def,
            args.pretrained_model,
            image_dims=numbers(args.images_dim),
            mean=read_mean(args.mean_file),
            input_scale=args.input_scale,
            raw_scale=args.raw_scale,
            channel_swap=numbers(args.channel_swap) or None,
        )
        print(f"Classifying {len(images)} inputs.")
        start = time.time()
        predictions = classifier.predict(images, not args.center_only)
        print(f"Done in {time.time() - start:.2f} s.")
        print(f"Saving results into {args.output_file}")
        target = (
            args.output_file if args.output_file.endswith(".npy") else f"{args.output_file}.npy"
        )
        with atomic_write(target) as stream:  # the name that np.save gives
            np.save(stream, predictions)
    except (Error, OSError, ValueError) as error:
        print(f"caffe classify: {error}", file=sys.stderr)
        return 1
    return 0


def parse(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> argparse.Namespace:
    """The arguments; ``-help``, as the other commands write it, shows the usage too."""
    words = sys.argv[1:] if argv is None else argv
    return parser.parse_args(["--help" if word == "-help" else word for word in words])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        allow_abbrev=False, prog="caffe classify", description=__doc__.splitlines()[0]
    )
    parser.add_argument("input_file", help="image, folder of images, or .npy of images (N,H,W,C)")
    parser.add_argument("output_file", help=".npy to write")
    add_net_arguments(parser)
    parser.add_argument(
        "--center_only", action="store_true", help="the centre alone instead of ten crops"
    )
    parser.add_argument(
        "--images_dim",
        default="256,256",
        help="height,width to resize to before cropping (default: %(default)s)",
    )
    parser.add_argument(
        "--ext", default="jpg", help="extension of the images in a folder (default: %(default)s)"
    )
    return parser


def add_net_arguments(parser: argparse.ArgumentParser) -> None:
    """The options about the net and its input, the same for classify and detect."""
    add = parser.add_argument
    add("--model_def", required=True, help="deploy prototxt")
    add("--pretrained_model", required=True, help="caffemodel")
    add("--gpu", action="store_true", help="compute on the GPU")
    add(
        "--mean_file",
        default="",
        help="mean to subtract, .npy or .binaryproto (default: none; BVLC's tool has the mean "
        "image of ILSVRC 2012 for a default)",
    )
    add("--input_scale", type=float, help="factor after the mean is subtracted")
    add(
        "--raw_scale",
        type=float,
        default=255.0,
        help="factor before the mean is subtracted (default: %(default)s)",
    )
    add(
        "--channel_swap",
        default="2,1,0",
        help="order of channels, 2,1,0 makes BGR of RGB (default: %(default)s)",
    )


def numbers(text: str) -> list[int]:
    """``"256,256"`` → [256, 256]; an empty text gives none."""
    try:
        return [int(part) for part in text.split(",")] if text else []
    except ValueError:
        raise DataError(f"expected whole numbers with commas between them, got {text!r}") from None


def read_array(path: str) -> np.ndarray:
    """The numbers of a .npy file; raises DataError, which names it, where they cannot be read."""
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, SyntaxError, MemoryError, tokenize.TokenError) as error:
        raise DataError(f"{path} cannot be read as a .npy file: {error}") from error
    if array.dtype.kind not in "fiub":
        raise DataError(f"{path} holds {array.dtype}; expected numbers")
    return array


def read_mean(path: str) -> np.ndarray | None:
    """The array (C, H, W) or (C,) in a .npy or .binaryproto file; None without a path."""
    if not path:
        return None
    if path.endswith(".npy"):
        return read_array(path)
    blob = caffe.proto.caffe_pb2.BlobProto()
    with open(path, "rb") as stream:
        content = stream.read()
    try:
        blob.ParseFromString(content)
        mean = caffe.io.blobproto_to_array(blob)
    except Exception as error:  # protobuf's own DecodeError, or a shape that does not fit
        raise DataError(f"{path} is no mean file (.npy or .binaryproto): {error}") from error
    return mean.reshape(mean.shape[-3:])


def set_mode(gpu: bool) -> None:
    """Choose where to compute, and say so."""
    if gpu:
        caffe.set_mode_gpu()
    else:
        caffe.set_mode_cpu()
    print(f"{'GPU' if gpu else 'CPU'} mode")


def _read_images(path: str, ext: str) -> list[np.ndarray]:
    path = os.path.expanduser(path)
    if path.endswith(".npy"):
        print(f"Loading file: {path}")
        return list(read_array(path))
    if os.path.isdir(path):
        print(f"Loading folder: {path}")
        names = sorted(glob.glob(os.path.join(glob.escape(path), f"*.{ext}")))
        if not names:
            raise DataError(f"no *.{ext} in {path}: name the extension with --ext")
        return [caffe.io.load_image(name) for name in names]
    print(f"Loading file: {path}")
    return [caffe.io.load_image(path)]


if __name__ == "__main__":
    sys.exit(main())
