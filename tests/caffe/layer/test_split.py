"""Split."""

import numpy as np
import pytest
from harness import Rig, close, random

from caffe.errors import LayerError


@pytest.mark.parametrize("tops", [1, 2, 3])
def test_data_is_shared_and_diffs_are_summed(device, tops):
    rig = Rig('type: "Split"', (2, 3), tops=tops)
    x = random(2, 3)
    rig.forward(x)
    for blob in rig.top:
        np.testing.assert_array_equal(blob.data, x)
    rig.bottom[0].data[...] = 7
    assert all((blob.data == 7).all() for blob in rig.top)
    diffs = [random(2, 3, seed=i) for i in range(tops)]
    close(rig.backward(*diffs)[0], sum(diffs))
    assert all((b.diff == d).all() for b, d in zip(rig.top, diffs))


def test_a_diff_never_written_counts_as_zero():
    rig = Rig('type: "Split"', (2, 3), tops=3)
    rig.forward(random(2, 3))
    g = random(2, 3, seed=1)
    close(rig.backward(g)[0], g)


def test_no_diff_written_overwrites_with_zero():
    rig = Rig('type: "Split"', (2, 3), tops=2)
    rig.bottom[0].diff[...] = 5
    assert not rig.backward()[0].any()


def test_in_place_is_refused():
    with pytest.raises(LayerError, match="in place"):
        Rig('type: "Split"', (2, 3), tops=2, in_place=True)
