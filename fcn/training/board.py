"""TensorBoard's event files of a run, by the package tensorboard; TensorFlow is not needed."""

import importlib
import os
import shutil
import warnings
from typing import Any, Optional

import numpy as np
from PIL import Image

from fcn.errors import StartError

__all__ = ["Board"]


class Board:
    """Writes scalars and the sheet of samples to `folder`, which `tensorboard --logdir` shows.

    StartError where the package is missing. The files are made anew from the run's tables when it
    goes on: each value is there once.
    """

    def __init__(self, folder: str) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of packages that tensorboard itself imports
            try:
                module = importlib.import_module("torch.utils.tensorboard")
            except ImportError as error:
                raise StartError(
                    f"--tensorboard needs the package tensorboard ({error}): "
                    "pip install tensorboard, or the extra [tensorboard] of this one"
                ) from error
        self._folder, self._open = folder, module.SummaryWriter
        self._writer: Any = None

    def begin(
        self,
        steps: list[dict[str, Any]],
        scores: list[dict[str, Any]],
        names: list[str],
        sheet: str = "",
    ) -> None:
        """Begin with the rows of train.csv and the results that there are already."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._writer = self._open(self._folder)
        for row in steps:
            self.step(row["step"], row["loss"], row["loss_per_pixel"], row["rate"])
        for line in scores:
            self.score(line, names, sheet if line is scores[-1] else "")

    def step(self, step: int, loss: float, per_pixel: float, rate: Optional[float]) -> None:
        self._writer.add_scalar("train/loss", loss, step)
        self._writer.add_scalar("train/loss_per_pixel", per_pixel, step)
        if rate is not None:
            self._writer.add_scalar("train/rate", rate, step)

    def score(self, line: dict[str, Any], names: list[str], sheet: str = "") -> None:
        """One scoring, a JSON line; sheet: the path of samples.jpg."""
        step = line["iter"]
        for key in ("loss", "mean_iu", "overall_accuracy", "mean_accuracy", "fwavacc"):
            if line.get(key) is not None:
                self._writer.add_scalar("val/" + key, line[key], step)
        for name, value in zip(names, line["iu"]):
            if value is not None:
                self._writer.add_scalar(f"iu/{name}", value, step)
        if sheet and os.path.exists(sheet):
            with Image.open(sheet) as image:
                pixels = np.asarray(image.convert("RGB"))
            self._writer.add_image("samples", pixels, step, dataformats="HWC")
        self._writer.flush()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
