"""DummyData: constants once, random fillers in every pass."""

import numpy as np
import pytest
from harness import Rig

from caffe import rng
from caffe.errors import LayerError


def dummy(body: str, tops: int = 1) -> Rig:
    return Rig(f'type: "DummyData" dummy_data_param {{ {body} }}', tops=tops)


def test_without_a_filler_it_is_zero():
    assert dummy("shape { dim: 2 dim: 3 }").forward().tolist() == [[0, 0, 0], [0, 0, 0]]


def test_constants_fill_once_so_that_edits_stay():
    rig = dummy('shape { dim: 3 } data_filler { type: "constant" value: 4 }')
    assert rig.top[0].data.tolist() == [4, 4, 4]  # before the first forward
    rig.top[0].data[0] = 9
    assert rig.forward().tolist() == [9, 4, 4]


def test_other_fillers_draw_anew(device):
    rig = dummy('shape { dim: 5 } data_filler { type: "uniform" min: 1 max: 2 }')
    assert not rig.top[0].data.any()  # nothing drawn when the net is built
    rng.set_random_seed(3)
    first, second = rig.forward(), rig.forward()
    rng.set_random_seed(3)
    assert (first >= 1).all() and (first <= 2).all() and (first != second).all()
    np.testing.assert_array_equal(rig.forward(), first)


def test_one_filler_and_shape_a_top():
    rig = dummy(
        "shape { dim: 1 } shape { dim: 2 } data_filler { value: 1 } data_filler { value: 2 }", 2
    )
    rig.forward()
    assert [b.data.tolist() for b in rig.top] == [[1], [2, 2]]


def test_legacy_axes():
    rig = dummy("num: 2 channels: 3 channels: 1 height: 4 width: 5", 2)
    assert [b.dims for b in rig.top] == [(2, 3, 4, 5), (2, 1, 4, 5)]


@pytest.mark.parametrize(
    "body",
    [
        "shape { dim: 1 } num: 2 channels: 1 height: 1 width: 1",
        "num: 2 channels: 1 height: 1",
        "shape { dim: 1 } shape { dim: 1 }",
        "shape { dim: 1 } data_filler { } data_filler { }",
    ],
)
def test_bad_counts_are_refused(body):
    with pytest.raises(LayerError, match="layer 'layer' .type DummyData."):
        dummy(body, tops=3)
