"""Programs end whatever number of threads OpenMP gives them."""

import os
import subprocess
import sys

import pytest

from caffe import native

pytestmark = [
    pytest.mark.skipif(not native.available(), reason=native.why_not() or "available"),
    pytest.mark.slow,
]

CODE = """
import torch
from caffe.kernels import winograd
from caffe.native.winograd import Winograd
torch.set_num_threads(4)
x, weight, y = torch.randn(60, 60, 32), torch.randn(32, 32, 3, 3), torch.empty(60, 60, 32)
Winograd(winograd.transform_weights(weight)).forward(x, None, y)
want = torch.conv2d(x.permute(2, 0, 1)[None], weight, padding=1)[0].permute(1, 2, 0)
print(float((y - want).abs().max() / want.abs().max()) < 1e-5)
"""


@pytest.mark.parametrize("limit", [{}, {"OMP_THREAD_LIMIT": "1"}, {"OMP_DYNAMIC": "true"}])
def test_fewer_threads_than_asked_for(limit):
    environment = {**os.environ, **limit}
    command = [sys.executable, "-c", CODE]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.stdout == "True\n", done.stderr
