"""A small classifier and its photos, for the tests of the tools that classify and detect."""

import numpy as np
import pytest
from PIL import Image

NET = """
layer { name: "data" type: "Input" top: "data" input_param {
  shape { dim: 3 dim: 3 dim: 8 dim: 8 } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param {
  num_output: 4 weight_filler { type: "xavier" } } }
"""


@pytest.fixture
def model(saved_net):
    return saved_net(NET)


@pytest.fixture
def arguments(model):
    return ["--model_def", model[0], "--pretrained_model", model[1]]


@pytest.fixture
def photos(tmp_path):
    rng = np.random.RandomState(0)
    (tmp_path / "photos").mkdir()
    paths = [str(tmp_path / "photos" / f"{name}.png") for name in "ab"]
    for path in paths:
        Image.fromarray(rng.randint(0, 256, (20, 24, 3)).astype(np.uint8)).save(path)
    return paths
