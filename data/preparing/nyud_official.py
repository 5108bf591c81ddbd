"""From NYUDv2's official files to the layout that the data layer reads.

nyu_depth_v2_labeled.mat (MATLAB 7.3, that is HDF5) has 1449 images of 480 x 640 pixels, depths in
metres, measured (``rawDepths``) and filled in (``depths``), and labels of 894 names; splits.mat
says which are for training and for testing, classMapping40.mat which of 40 classes each name is in.
"""

import os
import sys
from collections.abc import Sequence

import numpy as np
import scipy.io
from PIL import Image

from data.preparing import hha
from data.preparing.report import Report, find_layers, write_list
from fcn.atomic import replacing
from fcn.palette import save_atomic
from segdata.matfile import MatError, value, variables

__all__ = ["CROP", "Official", "convert", "read_mapping", "read_splits"]

#: First and last row and column, from 0, that are kept: within the white frame and the border that
#: the projection of depth leaves. The published models were trained on this part, 425 x 560.
CROP = (45, 470, 40, 600)
SIZE = (480, 640)

#: Ids of the prepared data are 5000 + the number of the image, from 1.
FIRST = 5001

FILES = {
    "--labeled": "nyu_depth_v2_labeled.mat (cs.nyu.edu/~silberman/datasets/nyu_depth_v2.html)",
    "--splits": "splits.mat, from the same place",
    "--mapping": "classMapping40.mat (with the code of Gupta et al., CVPR 2013 and ECCV 2014)",
}


class _Refused(Exception):
    """A file that is not what it should be."""


class Official:
    """The opened nyu_depth_v2_labeled.mat; every array has MATLAB's order of axes reversed."""

    KEYS = ("images", "depths", "rawDepths", "labels", "names")

    def __init__(self, path: str) -> None:
        try:
            import h5py
        except ImportError as error:
            raise _Refused(f"reading '{path}' needs h5py: pip install h5py") from error
        try:
            # A cache for chunks that hold parts of several images.
            self._file = h5py.File(path, "r", rdcc_nbytes=1 << 28)
        except OSError as error:
            raise _Refused(
                f"cannot read '{path}' as MATLAB 7.3 (HDF5): {error}; is the download complete?"
            ) from error
        missing = [key for key in self.KEYS if key not in self._file]
        if missing:
            raise _Refused(f"'{path}' has no {', '.join(missing)}; expected {FILES['--labeled']}")
        self.count = len(self._file["images"])
        for key in self.KEYS[:4]:
            shape = self._file[key].shape
            want = (self.count,) + ((3,) if key == "images" else ()) + SIZE[::-1]
            if shape != want:
                raise _Refused(
                    f"'{path}': {key} is {shape}; expected {want} (MATLAB's order reversed)"
                )

    def names(self) -> list[str]:
        """The names of the raw labels, from number 1."""
        cells = self._file["names"][()].ravel()
        return ["".join(chr(c) for c in self._file[cell][()].ravel()) for cell in cells]

    def array(self, key: str, index: int) -> np.ndarray:
        """One image's pixels (H, W, 3), or depth or labels (H, W), within CROP."""
        top, bottom, left, right = CROP
        try:
            values = self._file[key][index]
        except OSError as error:
            raise _Refused(
                f"cannot read {key} of image {index + 1}: {error}; is the download complete?"
            ) from error
        return values.T[top:bottom, left:right]

    def close(self) -> None:
        self._file.close()


def _load(path: str, option: str) -> dict:
    try:
        with open(path, "rb") as file:
            return {found.name: value(found) for found in variables(file.read())}
    except (MatError, OSError) as error:
        raise _Refused(f"cannot read '{path}': {error}; expected {FILES[option]}") from error


def _numbers(found: dict, key: str, path: str) -> np.ndarray:
    values = found[key]
    if not isinstance(values, np.ndarray) or not np.isfinite(values).all():
        raise _Refused(f"'{path}': {key} holds no numbers")
    return values.ravel().astype(int)


def _texts(found: dict, key: str) -> list:
    cells = found.get(key)
    return [cell for cell in cells if isinstance(cell, str)] if isinstance(cells, list) else []


def read_splits(path: str, count: int) -> dict:
    """{"trainval": ids, "test": ids} from splits.mat; more from Gupta's nyusplits.mat.

    The first has numbers from 1 in ``trainNdxs`` and ``testNdxs``, the second ids by their names.
    """
    found = _load(path, "--splits")
    if "trainNdxs" in found and "testNdxs" in found:
        splits = {
            name: _numbers(found, key, path) + FIRST - 1
            for name, key in (("trainval", "trainNdxs"), ("test", "testNdxs"))
        }
    elif "trainval" in found and "test" in found:
        splits = {
            name: _numbers(found, name, path)
            for name in ("trainval", "test", "train", "val")
            if name in found
        }
    else:
        raise _Refused(
            "'{}' has neither trainNdxs and testNdxs nor trainval and test; it has {}".format(
                path, ", ".join(found)
            )
        )
    for name, ids in splits.items():
        if ids.size and not (FIRST <= ids.min() and ids.max() < FIRST + count):
            raise _Refused(
                f"'{path}': {name} has numbers {ids.min() - FIRST + 1} to "
                f"{ids.max() - FIRST + 1}, but there are {count} images"
            )
    return {name: [str(number) for number in ids] for name, ids in splits.items()}


def read_mapping(path: str, names: list, classes: Sequence[str]) -> np.ndarray:
    """uint8 (1 + raw labels): the class, 1 to 40, of every raw label; 0 stays 0."""
    found = _load(path, "--mapping")
    if "mapClass" not in found:
        raise _Refused(f"'{path}' has no mapClass; expected {FILES['--mapping']}")
    mapped = _numbers(found, "mapClass", path)
    if len(mapped) != len(names) or not ((1 <= mapped) & (mapped <= len(classes))).all():
        raise _Refused(
            f"'{path}': mapClass has {len(mapped)} numbers from {mapped.min()} to "
            f"{mapped.max()}; expected {len(names)} from 1 to {len(classes)}"
        )
    for key, expected in (("className", classes), ("allClassName", names)):
        told = _texts(found, key)
        wrong = [i for i, pair in enumerate(zip(told, expected)) if pair[0] != pair[1]]
        if told and (wrong or len(told) != len(expected)):
            i = wrong[0] if wrong else min(len(told), len(expected)) - 1
            raise _Refused(
                f"'{path}': {key} {i + 1} of {len(told)} is '{told[i]}'; expected "
                f"'{expected[i]}', of {len(expected)}"
            )
    return np.r_[0, mapped].astype(np.uint8)


def convert(
    labeled: str, splits: str, mapping: str, target: str, names: Sequence[str], report: Report
) -> bool:
    """Write what is missing in ``target``; False and a problem when it cannot be.

    names: of the 40 classes, in order.
    """
    given = {"--labeled": labeled, "--splits": splits, "--mapping": mapping}
    absent = [option for option, path in given.items() if not os.path.isfile(path)]
    for option in absent:
        report.problem(
            (f"no file '{given[option]}': " if given[option] else "")
            + f"{option} is {FILES[option]}"
        )
    if os.path.islink(target):
        report.problem(
            f"{target} is a link to '{os.path.realpath(target)}', so nothing is written "
            "into it; remove the link first"
        )
    if report.problems:
        return False
    try:
        _convert(labeled, splits, mapping, target, names, report)
    except _Refused as error:
        report.problem(str(error))
    except OSError as error:
        report.problem(f"cannot write to '{target}': {error}")
    return not report.problems


def _convert(
    labeled: str, splits: str, mapping: str, target: str, names: Sequence[str], report: Report
) -> None:
    find_layers()
    from segdata.nyud import FOLDERS, file_of

    official = Official(labeled)
    try:
        lists = read_splits(splits, official.count)
        classes = read_mapping(mapping, official.names(), names)
        for pattern in FOLDERS.values():
            os.makedirs(os.path.join(target, os.path.dirname(pattern)), exist_ok=True)
        written = 0
        for index in range(official.count):
            paths = {kind: file_of(target, kind, str(FIRST + index)) for kind in FOLDERS}
            missing = {kind: path for kind, path in paths.items() if not os.path.isfile(path)}
            if missing:
                _write(official, index, classes, missing)
                written += 1
                if sys.stdout.isatty() or written % 100 == 0:
                    print(
                        f"\rwriting {target}: image {index + 1} of {official.count}",
                        end="" if sys.stdout.isatty() else "\n",
                        flush=True,
                    )
        if written and sys.stdout.isatty():
            print()
    finally:
        official.close()
    report.did(f"{target}: {official.count} images, {written} of them new")
    for name, ids in lists.items():
        write_list(os.path.join(target, name + ".txt"), ids, report)


def _write(official: Official, index: int, classes: np.ndarray, paths: dict) -> None:
    """Write those of an image's files that ``paths`` names: colour, depth, HHA, label."""
    if "color" in paths:
        _save(np.ascontiguousarray(official.array("images", index)), paths["color"])
    if "depth" in paths or "hha" in paths:
        millimetres = _millimetres(official.array("depths", index), index)
        if "hha" in paths:
            measured = official.array("rawDepths", index)
            _save(
                hha.encode(millimetres / 1000, measured <= 0, hha.NYUD.cropped(CROP[0], CROP[2])),
                paths["hha"],
            )
        if "depth" in paths:
            _save(millimetres, paths["depth"])
    if "label" in paths:
        raw = official.array("labels", index)
        if raw.max(initial=0) >= len(classes):
            raise _Refused(
                f"labels of image {index + 1} hold {raw.max()}; expected 0 to {len(classes) - 1}"
            )
        with replacing(paths["label"], durable=False) as temporary:
            with open(temporary, "wb") as file:
                scipy.io.savemat(file, {"segmentation": classes[raw]}, do_compression=True)


def _millimetres(depth: np.ndarray, index: int) -> np.ndarray:
    """Metres as whole millimetres, uint16; every pixel must have a depth."""
    millimetres = np.floor(depth.astype(np.float64) * 1000 + 0.5)
    bad = ~((millimetres >= 1) & (millimetres <= 65535))
    if bad.any():
        y, x = (int(i) for i in np.argwhere(bad)[0])
        raise _Refused(
            f"depths of image {index + 1} hold {depth[y, x]} m at x={x + CROP[2]}, "
            f"y={y + CROP[0]}; expected 0.001 to 65.535"
        )
    return millimetres.astype(np.uint16)


def _save(pixels: np.ndarray, path: str) -> None:
    save_atomic(Image.fromarray(pixels), path, "PNG")
