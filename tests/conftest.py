"""Shared fixtures: every test starts on the CPU with quiet logs; `device` runs a test twice."""

import os

os.environ.setdefault("GLOG_minloglevel", "2")

import pytest
import torch

from caffe import device as devices

torch.set_num_threads(1)  # the tensors are small, and the tests run in several processes


@pytest.fixture(autouse=True)
def _cpu_mode():
    devices.set_mode_cpu()
    yield
    devices.set_mode_cpu()


@pytest.fixture(params=["cpu", "mirror"])
def device(request):
    """The CPU, then the mirror: a second copy of every blob, synchronised as a GPU's is."""
    getattr(devices, f"set_mode_{request.param}")()
    return request.param
