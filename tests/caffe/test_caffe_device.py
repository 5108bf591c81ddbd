"""Where a thread computes."""

import threading

import numpy as np
import pytest
import torch

from caffe import device
from caffe.errors import DeviceError


def test_the_mode_belongs_to_the_thread():
    device.set_mode_mirror()
    seen = []
    other = threading.Thread(target=lambda: seen.append(device.current().name))
    other.start()
    other.join()
    assert seen == ["cpu"] and device.current().name == "mirror"
    device.set_mode_cpu()
    assert device.current().name == "cpu" and device.current().shares_host


@pytest.mark.parametrize("shape", [(), (0,), (2, 3)])
def test_an_upload_is_a_copy(shape):
    device.set_mode_mirror()
    values = np.ones(shape, np.float32)
    made = device.current().upload(values)
    values[...] = 7
    assert made.shape == shape and (made == 1).all()


def test_a_gpu_that_is_not_there_is_told_with_the_remedy(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for call in (device.set_mode_gpu, lambda: device.set_device(0)):
        with pytest.raises(DeviceError, match="PyTorch sees no GPU .*caffe.set_mode_cpu"):
            call()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(DeviceError, match=r"GPU 2 does not exist: this machine has 0\.\.1"):
        device.set_device(2)


def test_set_device_mid_way(monkeypatch):
    """In GPU mode the next pass is on the other GPU; before it, the choice waits for the mode."""
    chosen = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    try:
        device.set_device(1)
        assert device.current().name == "cpu"
        device.set_mode_gpu()
        assert device.current().torch_device == torch.device("cuda", 1)
        device.set_device(0)
        assert device.current().torch_device == torch.device("cuda", 0) and chosen[-1] == 0
        with pytest.raises(DeviceError, match=r"GPU 2 does not exist: this machine has 0\.\.1"):
            device.set_device(2)
        assert device.current().torch_device == torch.device("cuda", 0)
    finally:
        device._mode.gpu = 0
        device.set_mode_cpu()
