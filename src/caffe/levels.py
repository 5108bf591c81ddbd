"""Pictures of bytes to a device: the bytes go up, and a table there turns them into numbers.

A photograph less its mean has 256 different numbers a channel. Sent as bytes it is a quarter of
what it is in float32, and the numbers are looked up where they are needed. The tables are made on
the host, so the numbers are the host's, bit for bit.
"""

from __future__ import annotations

import numpy as np
import torch

from caffe.blob import Blob
from caffe.device import current

__all__ = ["Levels"]


class Levels:
    """What one top of a data layer needs for this: tables and places that lie on the device."""

    def __init__(self) -> None:
        self._tables: np.ndarray | None = None
        #: On the device: the tables, and where that of each channel begins.
        self._up: tuple[torch.Tensor, torch.Tensor] | None = None

    @staticmethod
    def worthwhile() -> bool:
        """Whether there is a way to go: on the CPU there is none."""
        return not current().shares_host

    def write(self, top: Blob, pixels: np.ndarray, tables: np.ndarray, windows: np.ndarray) -> None:
        """``top`` becomes ``tables[n, c, pixels[n, c]]`` within its windows, and 0 beyond.

        ``pixels``: uint8 (N, C, H, W); may be written again at once. ``tables``: float32 (N, C,
        256). ``windows``: (N, 4), of each picture the first row and column, height and width.
        """
        number, channels, height, width = pixels.shape
        device = current()
        up = device.upload(pixels)
        if self._up is None or self._up[0].device != up.device or not self._has(tables):
            rows = np.arange(0, tables.size, 256, dtype=np.int32).reshape(number, channels, 1, 1)
            self._tables = tables.copy()
            self._up = device.upload(tables.reshape(-1)), device.upload(rows)
        table, first = self._up
        values = table.index_select(0, (up + first).view(-1))
        values = values.view(number, channels, height, width)
        for picture, (y, x, high, wide) in zip(values, windows.tolist()):
            # Beyond the picture is nothing: not the mean's negative.
            for beyond in (
                picture[:, :y],
                picture[:, y + high :],
                picture[:, y : y + high, :x],
                picture[:, y : y + high, x + wide :],
            ):
                if beyond.numel():
                    beyond.zero_()
        top.set_data(values)

    def _has(self, tables: np.ndarray) -> bool:
        return self._tables is not None and np.array_equal(self._tables, tables)
