"""Layers whose type is the name of the old enum."""

import pytest

from caffe.proto import caffe_pb2
from caffe.prototxt.foreign_types import has_enum_names, rename_enum_names
from caffe.prototxt.forks import ForeignFieldWarning

NAMES = {
    value.number: value.name for value in caffe_pb2.V1LayerParameter.LayerType.DESCRIPTOR.values
}
NEW = {"SOFTMAX": "Softmax", "RELU": "ReLU"}


def type_of(number):
    return NEW.get(NAMES[number], NAMES[number])


def net(*types):
    layers = [caffe_pb2.LayerParameter(name=f"l{i}", type=t) for i, t in enumerate(types)]
    return caffe_pb2.NetParameter(layer=layers)


def test_old_names_become_todays_with_one_warning_a_type():
    made = net("SOFTMAX", "ReLU", "SOFTMAX", "RELU")
    assert has_enum_names(made, type_of)
    with pytest.warns(ForeignFieldWarning) as told:
        rename_enum_names(made, "net.prototxt", type_of)
    assert [layer.type for layer in made.layer] == ["Softmax", "ReLU", "Softmax", "ReLU"]
    assert len(told) == 2 and "layer 'l0' (and 1 more): type \"SOFTMAX\"" in str(told[0].message)
    assert not has_enum_names(made, type_of)


def test_todays_names_and_unknown_ones_stay():
    made = net("Softmax", "Softmix", "NONE")
    assert not has_enum_names(made, type_of)
    rename_enum_names(made, "net.prototxt", type_of)
    assert [layer.type for layer in made.layer] == ["Softmax", "Softmix", "NONE"]
