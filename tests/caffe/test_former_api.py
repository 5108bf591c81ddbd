"""Names of 2014's pycaffe are told what to write today, and that works."""

import importlib

import pytest

import caffe
from caffe import former_api


@pytest.mark.parametrize("name", sorted(former_api._NET))
def test_a_nets_former_names(name, tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text("layer { name: 'x' type: 'Input' top: 'x' input_param { shape { dim: 1 } } }")
    net = caffe.Net(str(path), caffe.TEST)
    with pytest.raises(AttributeError, match=f"no attribute '{name}' in pycaffe 1.0: ") as error:
        getattr(net, name)
    assert error.value.name == name


@pytest.mark.parametrize("name", sorted(former_api._CAFFE))
def test_caffes_former_names(name):
    with pytest.raises(AttributeError, match=f"module 'caffe' has no attribute '{name}' in"):
        getattr(caffe, name)


def test_what_they_are_told_to_write_exists():
    importlib.import_module("caffe.draw")
    for name in ("Classifier", "set_device", "set_mode_cpu", "set_mode_gpu", "TEST"):
        assert hasattr(caffe, name)
    for name in ("set_mean", "set_raw_scale", "set_channel_swap", "preprocess", "deprocess"):
        assert hasattr(caffe.io.Transformer, name) and name in former_api._NET


def test_a_name_that_never_was_gets_no_advice():
    assert str(former_api.missing("Net", "nmae")) == "'Net' object has no attribute 'nmae'"
    assert not hasattr(caffe, "drawnets")
