"""Convolutions as products over columns, against PyTorch's operator in float64."""

import itertools

import pytest
import torch

from caffe.kernels import columns
from caffe.kernels.columns import Settings

LAYOUTS = [torch.contiguous_format, torch.channels_last]
#: kernel, stride, pad, dilation
SHAPES = [
    ((5, 5), (1, 1), (2, 2), (1, 1)),
    ((5, 3), (2, 1), (0, 1), (1, 1)),
    ((4, 4), (2, 2), (1, 1), (1, 1)),
    ((2, 2), (2, 2), (0, 0), (1, 1)),
    ((3, 2), (1, 3), (2, 1), (2, 1)),
    ((1, 1), (2, 2), (0, 0), (1, 1)),
]
CASES = [
    pytest.param(shape, group, layout, id=f"{shape[0]} by {shape[1]}, {group} groups, {name}")
    for shape, group, (layout, name) in itertools.product(
        SHAPES, (1, 2, 4), zip(LAYOUTS, ("nchw", "nhwc"))
    )
]


def made(shape, group, layout, transposed):
    """x, weights, bias, dy, settings; PyTorch's y and gradients of the first three."""
    kernel, stride, pad, dilation = (list(pair) for pair in shape)
    g = torch.Generator().manual_seed(7)
    settings = Settings(stride, pad, dilation, transposed, [0, 0], group)
    outputs = 8
    of_weights = (4, outputs // group) if transposed else (outputs, 4 // group)
    x = torch.randn(3, 4, 7, 9, generator=g, dtype=torch.float64)
    w = torch.randn(*of_weights, *kernel, generator=g, dtype=torch.float64)
    b = torch.randn(outputs, generator=g, dtype=torch.float64)
    x, w = (t.contiguous(memory_format=layout) for t in (x, w))
    leaves = [t.clone().requires_grad_() for t in (x, w, b)]
    y = torch.convolution(*leaves, *settings)
    dy = torch.randn(y.shape, generator=g, dtype=torch.float64).contiguous(memory_format=layout)
    y.backward(dy)
    return x, w, b, dy, settings, y.detach(), [leaf.grad for leaf in leaves]


def close(found, expected):
    assert found.shape == expected.shape
    assert (found - expected).abs().max() <= 1e-12 * expected.abs().max()


@pytest.mark.parametrize(("shape", "group", "layout"), CASES)
def test_forward(shape, group, layout):
    for transposed, way in ((False, columns.product), (True, columns.transposed)):
        x, w, b, _, settings, y, _ = made(shape, group, layout, transposed)
        assert columns.out_sizes(x, w, settings) == tuple(y.shape[2:])
        close(way(x, w, b, settings, False), y)
        close(way(x, w, b, settings, True), y.relu())
        close(way(x, w, None, settings, False), y - b[:, None, None])


@pytest.mark.parametrize(("shape", "group", "layout"), CASES)
def test_the_gradient_of_the_weights_whole_and_in_parts(shape, group, layout, monkeypatch):
    for transposed in (False, True):
        x, w, _, dy, settings, _, grads = made(shape, group, layout, transposed)
        for most in (1 << 24, 2 * columns.numbers(x[:1], w, settings), 700, 1):
            monkeypatch.setattr(columns, "CHUNK_NUMBERS", most)
            found = columns.weight_gradient(dy, x, w, settings)
            close(found, grads[1])
            assert found.stride() == w.stride()


@pytest.mark.parametrize(("shape", "group", "layout"), CASES)
def test_the_gradient_of_a_transposed_ones_input_is_a_convolution(shape, group, layout):
    _, w, _, dy, settings, _, grads = made(shape, group, layout, True)
    close(columns.product(dy, w, None, settings._replace(transposed=False), False), grads[0])


def test_the_columns_held_are_bounded(monkeypatch):
    x, w, _, dy, settings, _, _ = made(SHAPES[0], 2, LAYOUTS[0], False)
    of_item = columns.numbers(x[:1], w, settings)
    assert of_item == 4 * 25 * 7 * 9
    held = []
    original = columns._columns

    def noted(*given):
        found = original(*given)
        held.append(found.numel())
        return found

    monkeypatch.setattr(columns, "_columns", noted)
    for most, parts in ((4 * of_item, 1), (2 * of_item, 2), (of_item, 3), (of_item // 2, 9)):
        monkeypatch.setattr(columns, "CHUNK_NUMBERS", most)
        held.clear()
        columns.weight_gradient(dy, x, w, settings)
        assert max(held) <= most and len(held) == parts


def test_parts_in_bfloat16_add_up_in_float32(monkeypatch):
    x, w, _, dy, settings, _, grads = made(SHAPES[0], 1, LAYOUTS[0], False)
    monkeypatch.setattr(columns, "CHUNK_NUMBERS", 1)
    found = columns.weight_gradient(dy.bfloat16(), x.bfloat16(), w.bfloat16(), settings)
    assert found.dtype == torch.float32
    assert (found - grads[1]).norm() <= 1e-2 * grads[1].norm()


def test_no_items_give_no_gradient():
    x, w, _, dy, settings, _, _ = made(SHAPES[0], 2, LAYOUTS[0], False)
    assert not columns.weight_gradient(dy[:0], x[:0], w, settings).any()
