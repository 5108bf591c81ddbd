"""ImageLabelmapData: pictures with maps of their edges, resized and cropped alike."""

import numpy as np
import pytest
from harness import TEST, Rig
from PIL import Image

from caffe.errors import DataError

HEIGHT, WIDTH = 6, 8


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    lines = []
    for n in range(3):
        picture = rng.integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
        edges = np.array([0, 127, 128, 255], np.uint8)[rng.integers(0, 4, (HEIGHT, WIDTH))]
        Image.fromarray(picture).save(tmp_path / f"{n}.png")
        Image.fromarray(edges).save(tmp_path / f"{n}_edges.png")
        lines.append(f"/{n}.png /{n}_edges.png\n")
    (tmp_path / "list.txt").write_text("".join(lines))
    return tmp_path


def rig(folder, fields="", transform=""):
    source = f'source: "{folder}/list.txt" root_folder: "{folder}"'
    text = f"image_data_param {{ {source} {fields} }} transform_param {{ {transform} }}"
    return Rig(f'type: "ImageLabelmapData" {text}', tops=2, phase=TEST)


def stored(folder, name):
    return np.array(Image.open(folder / name)).astype(np.float32)


def test_maps_become_zeros_and_ones(folder):
    layer = rig(folder, "batch_size: 2", "scale: 0.5 mean_value: 10")
    for numbers in [(0, 1), (2, 0)]:
        data = layer.forward()
        edges = layer.top[1].data
        assert data.shape == (2, 3, HEIGHT, WIDTH) and edges.shape == (2, 1, HEIGHT, WIDTH)
        for item, n in enumerate(numbers):
            picture = stored(folder, f"{n}.png")[:, :, ::-1].transpose(2, 0, 1)
            assert np.array_equal(data[item], (picture - 10) / 2)
            assert np.array_equal(edges[item, 0], stored(folder, f"{n}_edges.png") >= 128)


def test_both_are_cropped_and_resized_alike(folder):
    layer = rig(folder, transform="crop_size: 4")
    data = layer.forward()
    assert np.array_equal(layer.top[1].data[0, 0], stored(folder, "0_edges.png")[1:5, 2:6] >= 128)
    assert np.array_equal(data[0, 2], stored(folder, "0.png")[1:5, 2:6, 0])
    layer = rig(folder, "new_height: 12 new_width: 16")
    assert layer.forward().shape == (1, 3, 12, 16)
    edges = layer.top[1].data
    assert edges.shape == (1, 1, 12, 16) and set(np.unique(edges)) == {0, 1}


def test_maps_of_another_size(folder):
    Image.fromarray(np.zeros((3, 3), np.uint8)).save(folder / "0_edges.png")
    with pytest.raises(DataError, match="list.txt:1"):
        rig(folder)
