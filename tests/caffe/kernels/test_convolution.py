"""Which way computes a convolution; what each gives is tested in ways/."""

import pytest
import torch

from caffe.kernels.convolution import WAYS, Geometry, choose

CASES = {
    # way: bottom (N, C, H, W), weights (O, C, kh, kw), stride, pad
    "winograd": ((2, 128, 33, 41), (136, 128, 3, 3), 1, 1),
    "columns": ((1, 64, 12, 13), (512, 64, 7, 7), 1, 0),
    "pointwise": ((2, 5, 7, 6), (9, 5, 1, 1), 2, 0),
    "general": ((2, 3, 17, 19), (16, 3, 5, 5), 2, 3),
}


def chosen(bottom, shape, stride, pad):
    sizes = [(n + 2 * pad - k) // stride + 1 for n, k in zip(bottom[2:], shape[2:])]
    top = bottom[0], shape[0], *sizes
    geometry = Geometry(shape[2:], [stride] * 2, [pad] * 2, [1, 1], 1, bottom, top)
    return choose(geometry, torch.zeros(shape)).name


def test_every_way_has_a_case():
    assert [way.name for way in WAYS] == ["pointwise", "winograd", "columns", "general"]
    assert set(CASES) == {way.name for way in WAYS}


@pytest.mark.parametrize("way", CASES)
def test_the_first_that_applies_is_chosen(way):
    assert chosen(*CASES[way]) == way


@pytest.mark.parametrize("way", CASES)
def test_plain_kernels_can_be_asked_for(way, monkeypatch):
    monkeypatch.setenv("CAFFE_KERNELS", "plain")
    assert chosen(*CASES[way]) == "general"
