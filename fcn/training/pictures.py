"""Pictures of val that a scoring pass gives by the way: samples over time, best and worst images.

    pictures = Pictures(net, experiment.dataset, output, ids, folder)
    evaluate(net, None, ids, "score", "label", pictures.each)
    pictures.save(step)

Photographs are taken from the net's own input, so every dataset shows what its net sees. All are at
most SIDE pixels wide and high.
"""

import os
import re
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from fcn.inference.pictures import overlay
from fcn.palette import save_atomic, save_label_png
from fcn.plots import text_font
from fcn.scoring.metrics import metrics
from fcn.training.records import SAMPLES, SCORED, SHEET, step_name, write_rows

__all__ = ["Pictures", "draw_sheet", "read_sample"]

#: The longest side of what is kept, in pixels.
SIDE = 640
#: Images that are shown over time, and of either end of the ranking.
SHOWN, EXTREMES = 4, 4
#: Width of a picture in the sheet, and how many scorings are in a row.
CELL, COLUMNS = 200, 5


class Triple(NamedTuple):
    """photo: uint8 (H, W, 3), RGB; truth and labels: uint8 (H, W)."""

    photo: np.ndarray
    truth: np.ndarray
    labels: np.ndarray


class Measured(NamedTuple):
    """The measures of one image; mean IU: of the classes that its truth has, NaN for none."""

    image: int
    mean_iu: float
    accuracy: float
    pixels: int


class Pictures:
    """Collects during one pass over `ids`; `each` is what `evaluate` calls.

    palette: uint8 (256, 3). folder: the run's. background: the class that overlays leave bare.
    """

    def __init__(
        self,
        net: Any,
        dataset: Any,
        palette: np.ndarray,
        ids: list[str],
        folder: str,
        background: int = -1,
        shown: int = SHOWN,
    ) -> None:
        self.net, self.ids, self.folder = net, ids, folder
        self.palette, self.background = palette, background
        colour = [i for i in dataset.inputs if i.channels == 3] or list(dataset.inputs)
        self._blob, self._mean = colour[0].blob, np.array(colour[0].mean, np.float32)
        count = min(shown, len(ids))
        #: {number of the image: its place among the samples}
        self._samples = {(2 * i + 1) * len(ids) // (2 * count): i for i in range(count)}
        self._found: dict[int, Triple] = {}
        self._measured: list[Measured] = []
        self._ends: dict[str, list[tuple[tuple[Any, ...], int, Triple]]] = {"best": [], "worst": []}

    def each(self, index: int, place: int, truth: Any, predicted: Any, hist: Any) -> None:
        """One image is scored: see `fcn.scoring.evaluate.compute_hist`."""
        found, total = metrics(hist), int(hist.sum())
        # A few pixels of a class that is not there would count as much as all that are.
        there = found.iu[hist.sum(1) > 0]
        mean_iu = float(there.mean()) if there.size else float("nan")
        self._measured.append(Measured(index, mean_iu, found.overall_accuracy, total))
        wanted = index in self._samples
        # Of images that are right all over, those with the most classes are worth showing.
        classes = int((hist.sum(1) > 0).sum())
        keys = {
            "best": (-mean_iu, -classes, index),
            "worst": (mean_iu, -classes, index),
        }
        ends = [
            end
            for end, key in keys.items()
            if total and (len(self._ends[end]) < EXTREMES or key < self._ends[end][-1][0])
        ]
        if not (wanted or ends):
            return
        triple = self._triple(place, truth, predicted)
        if wanted:
            self._found[index] = triple
        for end in ends:
            ranked = sorted([*self._ends[end], (keys[end], index, triple)], key=lambda r: r[0])
            self._ends[end] = ranked[:EXTREMES]

    def _triple(self, place: int, truth: Any, predicted: Any) -> Triple:
        pixels = np.array(self.net.blobs[self._blob].data[place]).transpose(1, 2, 0)  # H, W, C
        if pixels.shape[2] == 3:
            photo = np.clip(np.rint(pixels + self._mean), 0, 255).astype(np.uint8)[:, :, ::-1]
        else:
            low, high = float(pixels.min()), float(pixels.max())
            grey = (pixels[:, :, :1] - low) * (255 / max(high - low, 1e-9))
            photo = np.repeat(grey.astype(np.uint8), 3, axis=2)
        # The data layer serves truth as floats.
        return _small(photo, np.array(truth).astype(np.uint8), np.array(predicted, np.uint8))

    def save(self, step: int) -> None:
        """Write what was collected as that of `step`, and the sheet anew."""
        self._save_samples(step)
        self._save_ranking(step)

    def _save_samples(self, step: int) -> None:
        for index, number in self._samples.items():
            triple = self._found[index]
            folder = os.path.join(self.folder, SAMPLES, f"{number + 1}-{_plain(self.ids[index])}")
            os.makedirs(folder, exist_ok=True)
            photo, truth = (os.path.join(folder, name) for name in ("photo.jpg", "truth.png"))
            if not (os.path.exists(photo) and os.path.exists(truth)):  # a kill may leave one
                _save_photo(photo, triple.photo)
                save_label_png(truth, triple.truth, self.palette)
            path = os.path.join(folder, step_name(step) + ".png")
            save_label_png(path, triple.labels, self.palette)
        sheet = draw_sheet(os.path.join(self.folder, SAMPLES), self.palette, self.background)
        if sheet is not None:
            save_atomic(sheet, os.path.join(self.folder, SHEET), "JPEG", quality=90)

    def _save_ranking(self, step: int) -> None:
        folder = os.path.join(self.folder, SCORED, step_name(step))
        os.makedirs(folder, exist_ok=True)
        for end, ranked in self._ends.items():
            for rank, (_, _, triple) in enumerate(ranked, 1):
                name = os.path.join(folder, f"{end}-{rank}-")
                _save_photo(name + "photo.jpg", triple.photo)
                save_label_png(name + "truth.png", triple.truth, self.palette)
                save_label_png(name + "labels.png", triple.labels, self.palette)
        rows = [
            [self.ids[m.image], _number(m.mean_iu), _number(m.accuracy), m.pixels]
            + [
                " ".join(
                    f"{end}-{rank}"
                    for end, ranked in self._ends.items()
                    for rank, (_, index, _) in enumerate(ranked, 1)
                    if index == m.image
                )
            ]
            for m in self._measured
        ]
        heading = ["image", "mean_iu", "overall_accuracy", "pixels", "pictures"]
        write_rows(os.path.join(folder, "images.csv"), heading, rows)

    def forget(self, but: list[int]) -> None:
        """Remove the best and worst pictures of all scorings but some steps'; tables stay."""
        kept, base = {step_name(step) for step in but}, os.path.join(self.folder, SCORED)
        for entry in sorted(os.listdir(base)) if os.path.isdir(base) else ():
            if entry not in kept:
                for name in sorted(os.listdir(os.path.join(base, entry))):
                    if re.match(r"(best|worst)-\d", name):
                        os.remove(os.path.join(base, entry, name))


def _number(value: float) -> Any:
    return None if value != value else round(value, 6)


def _plain(name: str) -> str:
    """A name as a part of a file's name."""
    return re.sub(r"[^\w.-]", "_", name)[:80]


def _small(photo: np.ndarray, truth: np.ndarray, labels: np.ndarray) -> Triple:
    """At most SIDE pixels wide and high."""
    height, width = truth.shape
    factor = SIDE / max(height, width)
    if factor >= 1:
        return Triple(np.ascontiguousarray(photo), truth, labels)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    photo = np.asarray(Image.fromarray(np.ascontiguousarray(photo)).resize(size, Image.BICUBIC))
    few = (np.asarray(Image.fromarray(a).resize(size, Image.NEAREST)) for a in (truth, labels))
    return Triple(photo, *few)


def _save_photo(path: str, photo: np.ndarray) -> None:
    save_atomic(Image.fromarray(photo), path, "JPEG", quality=88)


def read_sample(folder: str) -> tuple[np.ndarray, np.ndarray, dict[int, np.ndarray]]:
    """(photo, truth, {step: labels}) of one folder in samples/."""

    def read(name: str) -> np.ndarray:
        with Image.open(os.path.join(folder, name)) as image:
            return np.array(image)

    names = sorted(name for name in os.listdir(folder) if re.fullmatch(r"\d+\.png", name))
    steps = {int(name[: -len(".png")]): read(name) for name in names}
    return read("photo.jpg"), read("truth.png"), steps


def chosen(steps: list[int], count: int) -> list[int]:
    """`count` of the steps, evenly from the first to the last."""
    if len(steps) <= count:
        return list(steps)
    return [steps[i * (len(steps) - 1) // (count - 1)] for i in range(count)]


def draw_sheet(samples: str, palette: np.ndarray, background: int = -1) -> Any:
    """A picture of the folder samples/: a row for each image, photo | truth | labels by step.

    None where there is nothing to draw.
    """
    folders = [os.path.join(samples, name) for name in sorted(os.listdir(samples))]
    rows = [read_sample(folder) for folder in folders if os.path.isdir(folder)]
    steps = chosen(sorted({step for _, _, labels in rows for step in labels}), COLUMNS)
    if not rows or not steps:
        return None
    lines = []
    for photo, truth, labels in rows:
        cells: list[Any] = [photo, overlay(photo, truth, palette, background)]
        cells += [
            overlay(photo, labels[step], palette, background) if step in labels else None
            for step in steps
        ]
        height = max(1, round(CELL * photo.shape[0] / photo.shape[1]))
        lines.append((height, cells))
    gap, top = 6, 24
    width = (CELL + gap) * len(lines[0][1]) + gap
    sheet = Image.new("RGB", (width, top + sum(h + gap for h, _ in lines)), (255, 255, 255))
    pen, font = ImageDraw.Draw(sheet), text_font(13)
    for i, title in enumerate(["photo", "truth", *(f"step {step}" for step in steps)]):
        pen.text((gap + i * (CELL + gap), 4), title, fill=(30, 30, 30), font=font)
    y = top
    for height, cells in lines:
        for i, cell in enumerate(cells):
            if cell is not None:
                small = Image.fromarray(cell).resize((CELL, height), Image.BICUBIC)
                sheet.paste(small, (gap + i * (CELL + gap), y))
        y += height + gap
    return sheet
