"""Small tensors travel together."""

import pytest
import torch

from caffe.parallel import exchange

pytestmark = [
    pytest.mark.slow,
    pytest.mark.cpu_only,  # the solvers' processes choose their devices themselves
]


def test_small_tensors_travel_together_and_large_ones_alone(monkeypatch):
    monkeypatch.setattr(exchange, "_BUCKET", 10)
    tensors = [torch.zeros(n) for n in (4, 6, 1, 25, 3)]
    groups = [[t.numel() for t in group] for group in exchange.in_buckets(tensors)]
    assert groups == [[4, 6], [1], [25], [3]]
