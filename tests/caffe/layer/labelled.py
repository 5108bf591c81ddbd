"""Pictures with label images, and the layers that read them."""

import numpy as np
from harness import Rig
from PIL import Image

HEIGHT, WIDTH = 6, 8


def make(folder, count=5, sizes=None):
    """Pictures n.png whose pixels are their labels in n_label.png, and list.txt."""
    lines = []
    for n in range(count):
        size = (sizes or [(HEIGHT, WIDTH)] * count)[n]
        labels = (np.arange(size[0] * size[1]).reshape(size) + 10 * n).astype(np.uint8)
        Image.fromarray(np.stack([labels] * 3, 2)).save(folder / f"{n}.png")
        Image.fromarray(labels).save(folder / f"{n}_label.png")
        lines.append(f"/{n}.png /{n}_label.png\n")
    (folder / "list.txt").write_text("".join(lines))
    return folder


def dense(folder, fields="", more="", **options):
    source = f'source: "{folder}/list.txt" root_folder: "{folder}"'
    text = f'type: "DenseImageData" dense_image_data_param {{ {source} {fields} }} {more}'
    return Rig(text, tops=2, **options)


def seg(folder, fields="label_type: PIXEL", more="", tops=3, **options):
    source = f'source: "{folder}/list.txt" root_folder: "{folder}"'
    text = f'type: "ImageSegData" image_data_param {{ {source} {fields} }} {more}'
    return Rig(text, tops=tops, **options)


def batches(rig, count):
    for _ in range(count):
        data = rig.forward()
        yield data, rig.top[1].data.copy()
