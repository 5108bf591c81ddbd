"""SBD's labels as palette PNGs, for programs that do not read MAT files; the nets do."""

import os

from data.preparing.report import Report, find_layers
from fcn.palette import save_label_png, voc_palette

__all__ = ["KINDS", "to_png"]

#: Folders with labels: classes, and numbers of single objects.
KINDS = ("cls", "inst")


def to_png(root: str, report: Report) -> None:
    """Write <id>.png beside every <id>.mat in ``root``/cls and inst, which is not there yet."""
    find_layers()
    from segdata.errors import DataError
    from segdata.mat import read_sbd_label

    palette = voc_palette()
    for kind in KINDS:
        folder = os.path.join(root, kind)
        if not os.path.isdir(folder):
            report.note(f"no '{folder}', so nothing in it is converted")
            continue
        names = sorted(name[:-4] for name in os.listdir(folder) if name.endswith(".mat"))
        written = 0
        for name in names:
            path = os.path.join(folder, name + ".png")
            if os.path.exists(path):
                continue
            try:
                label = read_sbd_label(os.path.join(folder, name + ".mat"), kind)
            except DataError as error:
                report.problem(str(error))
                return
            save_label_png(path, label, palette)
            written += 1
        report.did(f"{folder}: {len(names)} labels as PNG, {written} of them new")
