"""Classify windows of images with caffe.Detector; the predictions become CSV or HDF5.

The input is a ``.csv`` of windows with the columns filename, ymin, xmin, ymax, xmax (with
``--crop_mode list``), or a text file of image names, one a line (with selective search, which needs
a package of its own).  The output, by its extension: a ``.csv`` of the same columns and class0,
class1, ...; or HDF5 with the datasets ``filename``, ``window`` (N, 4) and ``prediction``
(N, classes).
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

import caffe
from caffe.atomic import atomic_write
from caffe.errors import DataError, Error
from caffe.tools.classify import add_net_arguments, numbers, parse, read_mean, set_mode

if TYPE_CHECKING:
    from caffe.detector import Window

__all__ = ["main"]

COORDINATES = ("ymin", "xmin", "ymax", "xmax")


def main(argv: Sequence[str] | None = None) -> int:
    """Run with these arguments (default: the process's); returns the exit status."""
    args = parse(_parser(), argv)
    try:
        set_mode(args.gpu)
        detector = caffe.Detector(
            args.model_def,
            args.pretrained_model,
            mean=_channel_means(read_mean(args.mean_file)),
            input_scale=args.input_scale,
            raw_scale=args.raw_scale,
            channel_swap=numbers(args.channel_swap) or None,
            context_pad=args.context_pad,
        )
        print("Loading input...")
        start = time.time()
        if args.crop_mode == "list":
            detections = detector.detect_windows(read_windows(args.input_file))
        else:
            with open(args.input_file, encoding="utf-8") as stream:
                names = [line.strip() for line in stream if line.strip()]
            detections = detector.detect_selective_search(names)
        print(f"Processed {len(detections)} windows in {time.time() - start:.3f} s.")
        start = time.time()
        write_detections(args.output_file, detections)
        print(f"Saved to {args.output_file} in {time.time() - start:.3f} s.")
    except (Error, OSError, ValueError) as error:
        print(f"caffe detect: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        allow_abbrev=False, prog="caffe detect", description=__doc__.splitlines()[0]
    )
    parser.add_argument("input_file", help=".csv of windows, or text file of image names")
    parser.add_argument("output_file", help=".csv or .h5 to write")
    add_net_arguments(parser)
    parser.add_argument(
        "--crop_mode",
        choices=("list", "selective_search"),
        default="selective_search",
        help="where the windows come from (default: %(default)s)",
    )
    parser.add_argument(
        "--context_pad",
        type=int,
        default=16,
        help="pixels of surroundings in the net's input (default: %(default)s)",
    )
    return parser


def _channel_means(mean: np.ndarray | None) -> np.ndarray | None:
    """One value per channel of a mean image: windows have no place of their own in it."""
    return mean.mean(axis=(1, 2)) if mean is not None and mean.ndim == 3 else mean


def read_windows(path: str) -> list[tuple[str, list[Window]]]:
    """The windows of a .csv, by image, in the order in which the images first appear."""
    columns = ("filename", *COORDINATES)
    windows: dict[str, list[Window]] = {}
    with open(path, newline="", encoding="utf-8") as stream:
        rows = csv.DictReader(stream)
        try:
            missing = [name for name in columns if name not in (rows.fieldnames or ())]
            if missing:
                raise DataError(f"{path}: no column {', '.join(missing)}; expected {columns}")
            for row in rows:
                window = np.array([float(row[name]) for name in COORDINATES])
                if not np.isfinite(window).all():
                    raise ValueError(f"a window needs numbers, received {window.tolist()}")
                windows.setdefault(row["filename"], []).append(window)
        except (csv.Error, TypeError, ValueError) as error:  # of text that is no UTF-8 as well
            raise DataError(f"{path}, line {rows.line_num}: {error}") from error
    return list(windows.items())


def write_detections(path: str, detections: list[dict[str, Any]]) -> None:
    """Write what ``Detector.detect_windows`` returned; the extension decides the format."""
    names = [str(found["filename"]) for found in detections]
    windows = np.array([found["window"] for found in detections], np.float64)
    predictions = np.array([np.ravel(found["prediction"]) for found in detections])
    if path.lower().endswith(".csv"):
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        classes = [f"class{i}" for i in range(predictions.shape[1])]
        writer.writerow(["filename", *COORDINATES, *classes])
        for name, window, prediction in zip(names, windows, predictions):
            writer.writerow([name, *(f"{x:g}" for x in window), *prediction.tolist()])
        with atomic_write(path) as stream:
            stream.write(text.getvalue().encode())
        return
    import h5py

    from caffe import hdf5_files

    with hdf5_files.create(path) as file:
        file["filename"] = np.array(names, dtype=h5py.string_dtype())
        file["window"] = windows
        file["prediction"] = predictions


if __name__ == "__main__":
    sys.exit(main())
