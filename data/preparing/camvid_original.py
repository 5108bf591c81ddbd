"""CamVid as its authors publish it, 32 classes as colours at 960x720, in the form the nets use."""

import os
from typing import Optional

import numpy as np
from PIL import Image

from data.preparing.colours import ColourMap
from data.preparing.report import Report, write_list
from fcn.palette import save_atomic, save_label_png
from segdata.errors import DataError
from segdata.images import open_image

__all__ = ["GROUPS", "IMAGES", "LABELS", "SIZE", "convert", "split_of"]

#: The folders of the two archives, which bear their names.
IMAGES, LABELS = "701_StillsRaw_full", "LabeledApproved_full"

#: Width and height of the form that the nets are trained on: half of the original's.
SIZE = (480, 360)

#: For each of the 11 classes, by the name in data/camvid.py, the original classes in it and their
#: colours.  It is the usual grouping (Sturgess et al. 2009 and since); Void belongs to none.
GROUPS = {
    "sky": {"Sky": (128, 128, 128)},
    "building": {
        "Building": (128, 0, 0),
        "Archway": (192, 0, 128),
        "Bridge": (0, 128, 64),
        "Tunnel": (64, 0, 64),
        "Wall": (64, 192, 0),
    },
    "pole": {"Column_Pole": (192, 192, 128), "TrafficCone": (0, 0, 64)},
    "road": {
        "Road": (128, 64, 128),
        "LaneMkgsDriv": (128, 0, 192),
        "LaneMkgsNonDriv": (192, 0, 64),
    },
    "pavement": {
        "Sidewalk": (0, 0, 192),
        "ParkingBlock": (64, 192, 128),
        "RoadShoulder": (128, 128, 192),
    },
    "tree": {"Tree": (128, 128, 0), "VegetationMisc": (192, 192, 0)},
    "sign": {
        "SignSymbol": (192, 128, 128),
        "Misc_Text": (128, 128, 64),
        "TrafficLight": (0, 64, 64),
    },
    "fence": {"Fence": (64, 64, 128)},
    "car": {
        "Car": (64, 0, 128),
        "OtherMoving": (128, 64, 64),
        "SUVPickupTruck": (64, 128, 192),
        "Train": (192, 64, 128),
        "Truck_Bus": (192, 128, 192),
    },
    "pedestrian": {
        "Pedestrian": (64, 64, 0),
        "Animal": (64, 128, 64),
        "CartLuggagePram": (64, 0, 192),
        "Child": (192, 128, 64),
    },
    "bicyclist": {"Bicyclist": (0, 128, 192), "MotorcycleScooter": (192, 0, 192)},
}
VOID_COLOUR = (0, 0, 0)

#: A mask with more of its pixels than this in colours that are none of the 32 is not of CamVid.
STRAY = 0.01


def split_of(name: str) -> Optional[str]:
    """The split of a still by its sequence and number; None for a name that is none of CamVid's.

    Daylight and dusk are in training and test alike; the middle of 0016E5 is for validation.
    """
    sequence, _, number = name.partition("_")
    number = number.lstrip("f")
    if not number.isdigit():
        return None
    if sequence == "0001TP":
        return "train" if int(number) <= 8520 else "test"
    if sequence == "0016E5":
        return "val" if 7959 <= int(number) <= 8159 else "train"
    return {"0006R0": "train", "Seq05VD": "test"}.get(sequence)


def convert(
    source: str,
    target: str,
    classes: tuple[str, ...],
    palette: np.ndarray,
    void: int,
    report: Report,
) -> None:
    """Write the stills and labels below ``source`` to ``target`` as the data layer reads them.

    Images are averaged to SIZE, labels are every second pixel.  What is there is left; the lists
    come last.
    """
    names: dict[str, list[tuple[str, str]]] = {split: [] for split in ("train", "val", "test")}
    for file in sorted(os.listdir(os.path.join(source, IMAGES))):
        name = os.path.splitext(file)[0]
        split = split_of(name)
        if split is None or file.startswith("."):
            report.note(f"'{file}' is no still of CamVid; left out")
        else:
            names[split].append((name, file))
    labels = {
        colour: classes.index(group)
        for group, colours in GROUPS.items()
        for colour in colours.values()
    }
    labels[VOID_COLOUR] = void
    colours = ColourMap(labels)
    new = stray = 0
    for split, files in names.items():
        for folder in (split, split + "annot"):
            os.makedirs(os.path.join(target, folder), exist_ok=True)
        for name, file in files:
            image_to = os.path.join(target, split, name + ".png")
            label_to = os.path.join(target, split + "annot", name + ".png")
            if os.path.isfile(image_to) and os.path.isfile(label_to):
                continue
            label_from = os.path.join(source, LABELS, name + "_L.png")
            try:
                stray += _convert_label(label_from, label_to, colours, void, palette)
                with open_image(os.path.join(source, IMAGES, file)) as image:
                    small = image.convert("RGB").resize(SIZE, Image.BOX)
                save_atomic(small, image_to, "PNG")
            except (DataError, OSError, ValueError) as error:
                report.problem(f"cannot convert '{file}' or its label '{label_from}': {error}")
                return
            new += 1
    for split, files in names.items():
        write_list(os.path.join(target, split + ".txt"), [name for name, _ in files], report)
    report.did(
        f"{sum(map(len, names.values()))} stills at {SIZE[0]}x{SIZE[1]} with "
        f"{len(classes)} classes in {target}, {new} of them new"
    )
    if stray:
        report.note(f"{stray} pixels have none of the 32 colours; they count as void")


def _convert_label(
    source: str, target: str, colours: ColourMap, void: int, palette: np.ndarray
) -> int:
    """Write one label map; returns how many pixels had none of the 32 colours."""
    with open_image(source, "label") as image:
        mask = np.asarray(image.convert("RGB").resize(SIZE, Image.NEAREST))
    label, unknown = colours(mask)
    count = int(unknown.sum())
    if count > STRAY * unknown.size:
        y, x = (int(i) for i in np.argwhere(unknown)[0])
        raise ValueError(
            "{} of {} pixels have none of the 32 colours, the first {} at x={}, y={} "
            "of the label at {}x{}".format(
                count, unknown.size, tuple(int(v) for v in mask[y, x]), x, y, *SIZE
            )
        )
    label[unknown] = void
    save_label_png(target, label, palette)
    return count
