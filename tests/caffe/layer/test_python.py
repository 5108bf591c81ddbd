"""Python layers: how the class is found, what it is given, what its errors become."""

import sys

import numpy as np
import pytest
from harness import TEST, Rig, random

from caffe.errors import LayerError
from caffe.layer.python import PythonLayer

SOURCE = """
from caffe.layer.python import PythonLayer as Layer

class Times(Layer):
    def __init__(self, p, extra=1):
        super().__init__(p)
        self.early = hasattr(self, "param_str")
        self.setups = 0

    def setup(self, bottom, top):
        self.setups += 1
        self.blobs.add_blob(1)
        self.blobs[0].data[...] = float(self.param_str)

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        top[0].data[...] = bottom[0].data * self.blobs[0].data

    def backward(self, top, propagate_down, bottom):
        self.asked = propagate_down
        self.blobs[0].diff[...] += (top[0].diff * bottom[0].data).sum()
        if propagate_down[0]:
            bottom[0].diff[...] = top[0].diff * self.blobs[0].data

class Empty(Layer):
    pass

class Bad(Times):
    def forward(self, bottom, top):
        raise KeyError("mine")

class BadStart(Layer):
    def __init__(self, p):
        raise OSError("mine")

class Stranger:
    pass
"""


@pytest.fixture(autouse=True)
def modules(tmp_path, monkeypatch):
    (tmp_path / "user_layers.py").write_text(SOURCE)
    (tmp_path / "needs_other.py").write_text("import no_such_package\n")
    (tmp_path / "broken.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in ("user_layers", "needs_other", "broken"):
        sys.modules.pop(name, None)


def python(layer: str, module: str = "user_layers", **options) -> Rig:
    text = f"python_param {{ module: '{module}' layer: '{layer}' param_str: '3' }}"
    return Rig(f'type: "Python" {text}', (2, 3), **options)


def test_the_users_instance_does_the_work(device):
    rig = python("Times", phase=TEST)
    user = rig.layer.user
    assert isinstance(user, PythonLayer) and user.type == "Python"
    assert (user.param_str, user.phase, user.early, user.setups) == ("3", TEST, False, 1)
    assert rig.layer.blobs is user.blobs
    x = random(2, 3)
    np.testing.assert_allclose(rig.forward(x), 3 * x)
    np.testing.assert_allclose(rig.backward(2.0)[0], np.full((2, 3), 6))
    assert user.asked == [True]
    np.testing.assert_allclose(user.blobs[0].diff, [2 * x.sum()], rtol=1e-5)
    assert rig.reshape((4, 1)) == [(4, 1)]


@pytest.mark.parametrize(
    "module, layer, words, cause",
    [
        (
            "no_such_module",
            "Times",
            "no module named 'no_such_module' in .*PYTHONPATH",
            ImportError,
        ),
        ("needs_other", "Times", "'needs_other' needs 'no_such_package'", ImportError),
        ("broken", "Times", "importing 'broken' failed with ZeroDivisionError", ZeroDivisionError),
        ("user_layers", "Tmes", r"user_layers.py\) has no class 'Tmes'.*'Times'", AttributeError),
    ],
)
def test_what_cannot_be_found(module, layer, words, cause):
    with pytest.raises(LayerError, match="layer 'layer' .type Python.: .*" + words) as caught:
        python(layer, module)
    assert isinstance(caught.value.__cause__, cause)


def test_what_is_no_layer():
    with pytest.raises(LayerError, match="'Stranger' in .*user_layers.py is no subclass"):
        python("Stranger")
    with pytest.raises(LayerError, match="needs a module and a layer"):
        Rig('type: "Python"')


def test_the_users_own_errors_arrive_unchanged():
    with pytest.raises(KeyError, match="mine"):
        python("Bad").forward(random(2, 3))
    with pytest.raises(OSError, match="mine"):
        python("BadStart")


def test_a_missing_method_is_named():
    with pytest.raises(
        LayerError, match=r"user_layers.Empty must define setup\(self, bottom, top\)"
    ):
        python("Empty")
