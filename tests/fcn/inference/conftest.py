"""Fixtures of infer.py: random weights of a small net, and a photo."""

import numpy as np
import pytest
from labelling_helpers import NET

import bootstrap
import caffe
from data import toy
from fcn import catalog
from fcn.inference import labelling, model


@pytest.fixture
def _from_the_root(monkeypatch):
    """Paths in the catalog are relative to the root; the test's own directory comes back.

    Limits of memory in these tests are those of a pass alone.
    """
    monkeypatch.setattr(model, "resident", lambda: 0)
    monkeypatch.setattr(labelling, "PIXEL", 0)
    monkeypatch.chdir(bootstrap.ROOT)


@pytest.fixture
def weights(tmp_path):
    """Random weights for the toy net."""
    net = caffe.Net(catalog.net_path(NET, "deploy"), caffe.TEST)
    rng = np.random.RandomState(5)
    for name, blobs in net.params.items():
        for blob in blobs:
            shape = blob.data.shape
            if name.startswith("upscore"):
                continue  # bilinear from the start
            if len(shape) == 4:
                # Scores of some hundred: of a thousand one rounding moves a probability by 1e-5.
                scale = 0.1 if name.startswith("score") else 1
                blob.data[...] = scale * rng.randn(*shape) * np.sqrt(2.0 / np.prod(shape[1:]))
            else:
                blob.data[...] = rng.rand(*shape) * 0.2 + 0.9
    path = str(tmp_path / "random.caffemodel")
    net.save(path)
    return path


@pytest.fixture
def photo(tmp_path):
    """A toy picture of odd size: RGB uint8 (H, W, 3)."""
    import random

    image, _ = toy.draw(173, 131, random.Random(8))
    return np.array(image)
