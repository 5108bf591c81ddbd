"""1x1 convolutions."""

import pytest
import torch
from way_cases import LAYOUTS, check

from caffe.kernels.convolution import choose
from caffe.kernels.ways import Call, Geometry
from caffe.storage import Storage

CASES = [
    ((2, 5, 7, 6), (9, 5, 1, 1), 1, 0),
    ((1, 5, 7, 6), (9, 5, 1, 1), 1, 0),
    ((2, 5, 7, 6), (9, 5, 1, 1), 2, 0),
    ((1, 5, 7, 9), (9, 5, 1, 1), 3, 0),
    ((3, 20, 2, 3), (30, 20, 1, 1), 1, 0),  # more weights than numbers
    ((3, 20, 1, 1), (30, 20, 1, 1), 1, 0),
    ((3, 20, 4, 5), (30, 20, 1, 1), 2, 0),
]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("case", CASES)
def test_equals_the_general_operator(case, layout):
    check("pointwise", *case, layout)


def test_no_images_have_no_gradient():
    x, weight, dy = torch.zeros(0, 5, 7, 6), torch.ones(9, 5, 1, 1), torch.zeros(0, 9, 7, 6)
    settings = [1, 1], [1, 1], [0, 0], [1, 1], 1
    geometry = Geometry(*settings, tuple(x.shape), tuple(dy.shape))
    call = Call(geometry, x, weight, None, Storage(1))
    dx, dw, db = choose(geometry, weight).backward(call, dy, [True] * 3)
    assert dx.shape == x.shape and dw.shape == weight.shape and not dw.any() and not db.any()
