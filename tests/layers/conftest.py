"""A small dataset in VOC's layout, and nets of one data layer."""

import numpy as np
import pytest
from PIL import Image

import bootstrap
import caffe
from fcn.palette import save_label_png, voc_palette


@pytest.fixture
def voc_dir(tmp_path):
    """Five images of different sizes, random pixels, labels 0 to 20 and 255; splits train, val."""
    rng = np.random.RandomState(0)
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (tmp_path / folder).mkdir(parents=True)
    names = [f"2007_{i:06d}" for i in range(5)]
    for i, name in enumerate(names):
        size = (20 + i, 30 + 2 * i)
        pixels = rng.randint(0, 256, size + (3,)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / "JPEGImages" / (name + ".jpg"), quality=95)
        label = rng.choice(np.r_[:21, 255], size).astype(np.uint8)
        save_label_png(str(tmp_path / "SegmentationClass" / (name + ".png")), label, voc_palette())
    for split in ("train", "val"):
        (tmp_path / "ImageSets" / "Segmentation" / (split + ".txt")).write_text("\n".join(names))
    return tmp_path


@pytest.fixture
def data_net(tmp_path, monkeypatch):
    """A function: module, class, params → a net whose first layer is that data layer."""
    monkeypatch.chdir(bootstrap.ROOT)
    count = 0

    def make(module, layer, params, tops=("data", "label")):
        nonlocal count
        count += 1
        path = tmp_path / f"net{count}.prototxt"
        text = params if isinstance(params, str) else repr(params)
        named = " ".join(f'top: "{top}"' for top in tops)
        read = " ".join(f'bottom: "{top}"' for top in tops)
        path.write_text(
            f'layer {{ name: "data" type: "Python" {named} python_param {{ module: "{module}" '
            f'layer: "{layer}" param_str: "{text}" }} }}\n'
            f'layer {{ name: "silence" type: "Silence" {read} }}\n'
        )
        return caffe.Net(str(path), caffe.TEST)

    return make
