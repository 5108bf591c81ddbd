"""The label maps of a video's frames: a folder of PNGs, or one .npz."""

import contextlib
import io
import os
import re
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np

from fcn.atomic import replacing
from fcn.palette import save_label_png

__all__ = ["writer_of"]

FRAME = "{:06d}_label.png"


class _None:
    def add(self, label: np.ndarray, seconds: float) -> None:
        pass

    def files(self) -> list[str]:
        return []


class _Folder:
    def __init__(self, folder: str, palette: np.ndarray) -> None:
        self.folder, self.palette, self.count = folder, palette, 0
        os.makedirs(folder, exist_ok=True)

    def add(self, label: np.ndarray, seconds: float) -> None:
        path = os.path.join(self.folder, FRAME.format(self.count))
        save_label_png(path, label, self.palette)
        self.count += 1

    def files(self) -> list[str]:
        return [self.folder]

    def close(self) -> None:
        """Remove what a longer video left here under the same names."""
        for name in os.listdir(self.folder):
            found = re.fullmatch(r"(\d{6,})_label\.png", name)
            if found and int(found.group(1)) >= self.count:
                os.remove(os.path.join(self.folder, name))


class _Npz:
    """One array a frame, "000000", "000001", …, each uint8 (H, W), and "seconds", their times."""

    def __init__(self, path: str, archive: zipfile.ZipFile) -> None:
        self.path, self.archive = path, archive
        self.seconds: list[float] = []

    def add(self, label: np.ndarray, seconds: float) -> None:
        self._put(f"{len(self.seconds):06d}", label)
        self.seconds.append(seconds)

    def _put(self, name: str, values: np.ndarray) -> None:
        content = io.BytesIO()
        np.lib.format.write_array(content, np.ascontiguousarray(values), allow_pickle=False)
        self.archive.writestr(name + ".npy", content.getvalue())

    def files(self) -> list[str]:
        return [self.path]

    def close(self) -> None:
        self._put("seconds", np.array(self.seconds))


@contextlib.contextmanager
def writer_of(kind: str, target: str, palette: np.ndarray) -> Iterator[Any]:
    """What takes label maps frame by frame: ``add(label, seconds)``; ``files()`` tells where.

    ``kind``: "png" (a folder TARGET_labels), "npz" (TARGET_labels.npz, whole or absent) or "none".
    """
    if kind == "npz":
        path = target + "_labels.npz"
        with replacing(path, durable=False) as temporary:
            with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
                maps = _Npz(path, archive)
                yield maps
                maps.close()
    elif kind == "png":
        folder = _Folder(target + "_labels", palette)
        yield folder
        folder.close()
    else:
        yield _None()
