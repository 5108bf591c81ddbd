"""Short maps: the rows that they keep, and what is spread and folded, against whole maps."""

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from caffe.kernels import border
from caffe.kernels.border import Operation

VGG = [[(3, 1, 100), (3, 1, 1), (2, 2, 0)], [(3, 1, 1), (3, 1, 1), (2, 2, 0)]]
VGG.append([(3, 1, 1)] * 3 + [(2, 2, 0)])
NETS = {
    "vgg": VGG,
    "alexnet": [[(11, 4, 100), (3, 2, 0)], [(5, 1, 2), (3, 2, 0)]],
    "large steps": [[(7, 2, 40), (3, 3, 0)], [(3, 1, 0)]],
    "narrow padding": [[(3, 1, 4), (2, 2, 0)]],
}
CASES = list(itertools.product(NETS, (1, 37, 64, 65, 66, 67)))


def operations(stages, size):
    found = []
    for stage in stages:
        found.append([])
        for extent, stride, pad in stage:
            room = size + 2 * pad - extent
            size = (-(-room // stride) if not pad and stride > 1 else room // stride) + 1
            found[-1].append(Operation(extent, stride, pad, size))
    return found


def apply(op, x, weight, cut=0):
    """A pooling where the step is larger than 1 and nothing is padded, else a convolution."""
    if not op.pad and op.stride > 1:
        return F.max_pool1d(x, op.extent, op.stride, ceil_mode=True)
    return F.conv1d(x, weight, stride=op.stride, padding=op.pad - cut).relu()


@pytest.mark.parametrize("name, size", CASES)
def test_a_short_map_holds_the_numbers_of_the_whole_one(name, size):
    torch.manual_seed(3)
    x = torch.randn(1, 2, size, dtype=torch.float64)
    stages = operations(NETS[name], size)
    plan = border.shorten(size, stages)
    ends = [a.size - a.cut * 2 for s in plan for a in s.after]
    assert name != "vgg" or ends[0] == size + 14
    whole = short = x
    source = None
    for stage, ops in zip(plan, stages):
        if source is not None:
            rows = source.short_rows()
            kept = [rows[i] for i in stage.before.kept()]
            assert sorted(set(kept)) == list(range(source.short_size)), "a row is left out"
            short = short[:, :, kept]
        for op, axis in zip(ops, stage.after):
            weight = torch.randn(2, 2, op.extent, dtype=torch.float64)
            whole = apply(op, whole, weight)
            short = apply(op, short, weight, stage.before.cut if op is stages[0][0] else 0)
            assert short.shape[2] == axis.short_size
            np.testing.assert_allclose(short[:, :, axis.short_rows()], whole, rtol=1e-10)
        source = stage.after[-1]


@pytest.mark.parametrize("last", [False, True])
def test_fold_is_the_gradient_of_spread(last):
    axes = [border.shorten(size, operations(VGG[:1], size))[0].after[-1] for size in (20, 31)]
    indices = [border.index_between(axis, None, torch.device("cpu")) for axis in axes]
    x = torch.randn(2, 3, axes[0].short_size, axes[1].short_size, dtype=torch.float64)
    if last:
        x = x.contiguous(memory_format=torch.channels_last)
    x.requires_grad_(True)
    y = border.spread(x, *indices)
    assert y.shape[2:] == (axes[0].size, axes[1].size)
    g = torch.randn_like(y)
    (expected,) = torch.autograd.grad(y, x, g)
    found = border.fold(g, *indices)
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    layout = torch.channels_last if last else torch.contiguous_format
    assert y.is_contiguous(memory_format=layout) and found.is_contiguous(memory_format=layout)


@pytest.mark.parametrize(
    "values", [[0], [0, 1, 2], [3, 3, 3], [0, 1, 1, 1, 2, 3, 3, 4], [5, 1, 0, 0, 7], [2, 2, 3, 4]]
)
def test_an_index_is_made_on_the_device(values, pretend):
    with pretend.counting() as counts:
        found = border._on_device(values, torch.device("pretend", 0))
    assert found.cpu().tolist() == values and found.dtype == torch.int64
    assert counts["H2D"] == counts["sync"] == 0
