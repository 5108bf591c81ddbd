"""Today's and the old form of what ``caffe.Net`` is called with, and what is neither."""

import pathlib

import numpy as np
import pytest

import caffe
from caffe.net import arguments

NAMES = ("phase", "level", "stages", "weights")


def read(*args, **named):
    return arguments.read(args, **{**dict.fromkeys(NAMES), "level": 0, **named})


def test_by_position_and_by_name_are_the_same():
    expected = (caffe.TEST, 2, ["a", "b"], "w.caffemodel")
    assert read(*expected) == expected
    assert read(**dict(zip(NAMES, expected))) == expected
    assert read(caffe.TEST, 2, stages=["a", "b"], weights="w.caffemodel") == expected


def test_what_is_left_out():
    assert read(caffe.TRAIN) == (caffe.TRAIN, 0, (), None)


@pytest.mark.parametrize("phase", [1, np.int64(1), True])
def test_a_phase_is_any_whole_number(phase):
    assert read(phase).phase == caffe.TEST


@pytest.mark.parametrize("weights", ["w", b"w", pathlib.Path("w")])
def test_the_old_form_names_the_weights_before_the_phase(weights):
    assert read(weights, caffe.TEST) == (caffe.TEST, 0, (), weights)


@pytest.mark.parametrize("args", [("w",), ("w", 1, 2), ("TEST",)])
def test_a_half_of_the_old_form(args):
    with pytest.raises(TypeError, match=rf"needs the phase as a number.*got '{args[0]}'"):
        read(*args)


@pytest.mark.parametrize("twice", [{"weights": "v"}, {"phase": 0}])
def test_the_old_form_says_nothing_twice(twice):
    with pytest.raises(TypeError, match="needs the phase"):
        read("w", caffe.TEST, **twice)


@pytest.mark.parametrize("phase", [None, 1.0, [1]])
def test_a_phase_of_another_kind(phase):
    with pytest.raises(TypeError, match="needs a phase, caffe.TRAIN or caffe.TEST"):
        read(phase)


@pytest.mark.parametrize("phase", [2, -1])
def test_a_number_that_is_no_phase(phase):
    with pytest.raises(ValueError, match=rf"TRAIN \(0\) or caffe.TEST \(1\), got {phase}"):
        read(phase)


@pytest.mark.parametrize("stages", ["deploy", b"deploy", [1], ["a", None]])
def test_stages_are_names(stages):
    with pytest.raises(TypeError, match="stages is a list of names"):
        read(caffe.TEST, stages=stages)


def test_too_many():
    with pytest.raises(TypeError, match="up to 4 arguments, got 5"):
        read(caffe.TEST, 0, (), None, None)
