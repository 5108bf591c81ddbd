"""Lists of pictures, and the ImageData that reads one."""

import numpy as np
from harness import TRAIN, Rig
from PIL import Image


def make(folder, count=5, size=(4, 6)):
    """Images 0.png, 1.png, ... of one grey each, and list.txt."""
    for n in range(count):
        Image.fromarray(np.full((*size, 3), n, np.uint8)).save(folder / f"{n}.png")
    (folder / "list.txt").write_text("".join(f"{n}.png {10 + n}\n" for n in range(count)))
    return folder


def rig(folder, fields="", phase=TRAIN, more=""):
    source = "" if "source" in fields else f'source: "{folder}/list.txt" '
    source += "" if "root_folder" in fields else f'root_folder: "{folder}/"'
    return Rig(
        f'type: "ImageData" image_data_param {{ {source} {fields} }} {more}', tops=2, phase=phase
    )


def labels(layer, count):
    found = []
    for _ in range(count):
        layer.forward()
        found += layer.top[1].data.astype(int).tolist()
    return found
