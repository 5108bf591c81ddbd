"""The engine's exceptions: one base, and the layer's name before what lacks it."""

from types import SimpleNamespace

import pytest

import caffe
from caffe import errors

LAYER = SimpleNamespace(name="conv1", type="Convolution")


def test_all_are_caffe_error_and_what_pycaffe_raises():
    for name in errors.__all__:
        if name.endswith("Error"):
            assert issubclass(getattr(errors, name), caffe.Error)
    assert issubclass(caffe.Error, RuntimeError)
    assert issubclass(errors.ShapeError, errors.LayerError)


@pytest.mark.parametrize(
    "text, told",
    [
        ("a blob is odd", "layer 'conv1' (type Convolution): a blob is odd"),
        ("layer 'conv1' is odd", "layer 'conv1' is odd"),
    ],
)
def test_the_layer_is_named_once(text, told):
    with pytest.raises(errors.DataError) as caught:
        with errors.naming(LAYER), errors.naming(LAYER):
            raise errors.DataError(text)
    assert str(caught.value) == told


def test_errors_that_are_not_the_engines_stay():
    with pytest.raises(KeyError, match="^'x'$"):
        with errors.naming(LAYER):
            raise KeyError("x")
