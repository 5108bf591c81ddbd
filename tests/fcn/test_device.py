"""The device and precision of a command."""

from types import SimpleNamespace

import pytest

import caffe
from fcn import device

OURS = hasattr(caffe, "set_precision")


def test_the_cpu_is_named():
    assert device.use(None) == "CPU"


@pytest.mark.skipif(not OURS, reason="BVLC Caffe has one precision")
@pytest.mark.parametrize("name", device.PRECISIONS)
def test_a_precision_is_set_and_named(name):
    before = caffe.precision()
    try:
        assert device.use(None, name) == f"CPU, {name}"
        assert caffe.precision() == name
        device.use(None)
        assert caffe.precision() == name  # without the option it stays
    finally:
        caffe.set_precision(before)


def test_bvlc_caffe_knows_fp32_alone(monkeypatch):
    monkeypatch.setattr(device, "caffe", SimpleNamespace(set_mode_cpu=caffe.set_mode_cpu))
    assert device.use(None, "fp32") == "CPU, fp32"
    with pytest.raises(device.UnknownPrecision, match="BVLC Caffe computes in fp32 alone"):
        device.use(None, "tf32")
