"""Pictures inside a page: small JPEGs as data addresses."""

from __future__ import annotations

import base64
import io
from html import escape

import numpy as np
from PIL import Image

from fcn.inference.pictures import overlay
from fcn.report.run import Run, Scored
from fcn.training.pictures import chosen, read_sample

__all__ = ["over_time", "ranking"]

#: Width of a picture in pixels, and how many scorings are shown of a sample.
WIDE, STEPS = 340, 4
WRONG = np.array((225, 45, 45), np.float32)


def picture(pixels: np.ndarray, what: str) -> str:
    """An <img> of RGB pixels, uint8 (H, W, 3)."""
    image = Image.fromarray(np.ascontiguousarray(pixels))
    if image.width > WIDE:
        image = image.resize(
            (WIDE, max(1, round(WIDE * image.height / image.width))), Image.BICUBIC
        )
    out = io.BytesIO()
    image.save(out, "JPEG", quality=84)
    data = base64.b64encode(out.getvalue()).decode("ascii")
    return (
        f'<img src="data:image/jpeg;base64,{data}" width="{image.width}" '
        f'height="{image.height}" alt="{escape(what)}">'
    )


def wrong_pixels(photo: np.ndarray, truth: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The photo in pale grey, red where the labels are not the truth."""
    grey = photo.astype(np.float32).mean(axis=2, keepdims=True) * 0.5 + 120
    result = np.repeat(grey, 3, axis=2)
    wrong = (truth != labels) & (truth != 255)
    result[wrong] = 0.25 * result[wrong] + 0.75 * WRONG
    return np.clip(result, 0, 255).astype(np.uint8)


def _background(run: Run) -> int:
    return 0 if run.classes[0] == "background" else -1


def _cell(title: str, image: str) -> str:
    return f"<figure>{image}<figcaption>{escape(title)}</figcaption></figure>"


def _read(path: str) -> np.ndarray:
    with Image.open(path) as image:
        return np.array(image)


def ranking(run: Run, images: list[Scored]) -> str:
    """A row for each image: photo, truth, labels, and what of it is wrong."""
    rows = []
    for scored in images:
        photo, truth, labels = map(_read, (scored.photo, scored.truth, scored.labels))
        back = _background(run)
        cells = (
            ("photo", photo),
            ("truth", overlay(photo, truth, run.palette, back)),
            ("labels", overlay(photo, labels, run.palette, back)),
            ("wrong pixels", wrong_pixels(photo, truth, labels)),
        )
        told = (
            f"<h4>{escape(scored.name)} <small>mean IU {100 * scored.mean_iu:.1f} %, pixel "
            f"accuracy {100 * scored.accuracy:.1f} %</small></h4>"
        )
        figures = "".join(_cell(title, picture(pixels, title)) for title, pixels in cells)
        rows.append(f"{told}<div class=row>{figures}</div>")
    return "".join(rows)


def over_time(run: Run) -> str:
    """A row for each sample: photo, truth, and the labels of some scorings."""
    rows = []
    for folder in run.samples:
        try:
            photo, truth, labels = read_sample(folder)
        except OSError:
            continue  # a run that is being written
        steps = chosen(sorted(labels), STEPS)
        back = _background(run)
        cells = [("photo", photo), ("truth", overlay(photo, truth, run.palette, back))]
        cells += [
            (f"step {step}", overlay(photo, labels[step], run.palette, back)) for step in steps
        ]
        figures = "".join(_cell(title, picture(pixels, title)) for title, pixels in cells)
        rows.append(f"<div class=row>{figures}</div>")
    return "".join(rows)
