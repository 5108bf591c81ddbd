"""What a misspelt name may have meant."""

import pytest

from caffe.hints import did_you_mean, nearest

LAYERS = ["Convolution", "Deconvolution", "Pooling", "ReLU"]


@pytest.mark.parametrize(
    ("name", "found"),
    [("Convolutoin", ["Convolution"]), ("relu", ["ReLU"]), ("POOLING", ["Pooling"]), ("xyz", [])],
)
def test_the_nearest_whatever_its_case(name, found):
    assert nearest(name, LAYERS) == found


def test_the_nearest_comes_first_and_no_more_than_asked_for():
    assert nearest("convolution", LAYERS, 3) == ["Convolution", "Deconvolution"]
    assert nearest("convolution", LAYERS, 1) == ["Convolution"]


def test_nothing_nearer_than_asked_for():
    assert nearest("Convolutoin", LAYERS, least=0.99) == []


def test_names_alike_but_for_their_case_are_one():
    assert nearest("data", ["Data", "DATA"], 2) == ["Data"]


def test_the_sentence():
    assert did_you_mean("Pool", ["Pooling", "Spool"], 2) == " Did you mean 'Spool' or 'Pooling'?"
    assert did_you_mean("xyz", LAYERS) == did_you_mean("x", []) == ""
    assert did_you_mean("relu", LAYERS, quote='"') == ' Did you mean "ReLU"?'
