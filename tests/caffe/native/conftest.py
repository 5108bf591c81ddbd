"""Random numbers of the native kernels' tests are the same in every run."""

import pytest
import torch


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(3)
