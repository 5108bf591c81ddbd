"""What the layers that pool regions share: the regions, C's rounding, equal parts."""

import numpy as np
import pytest
import torch
from harness import Rig

from caffe.errors import DataError, LayerError
from caffe.layer.extensions._rois import c_round, edges

GRID = "roi_pooling_param { pooled_h: 2 pooled_w: 3 %s }"


def rig(regions=(4, 5), more=""):
    return Rig('type: "ROIPooling" ' + GRID % more, (2, 3, 8, 8), regions)


def test_rounding_is_cs():
    x = torch.tensor([0.5, 1.5, -0.5, -2.5, 2.4999, float("nan"), 1e20])
    assert c_round(x).tolist() == [1, 2, -1, -3, 2, 0, 2.0**30]


def test_edges_are_equal_parts():
    assert edges(torch.tensor([6, 1]), 3).tolist() == [
        [0, 2, 4, 6],
        pytest.approx([0, 1 / 3, 2 / 3, 1]),
    ]


def test_edges_are_the_cpus_on_a_gpu(pretend):
    """21 pixels in 7 parts: times 1/7 in float32 a part is larger than 3, and its end is 4."""
    sizes = torch.arange(1, 200)
    for count in (3, 5, 6, 7, 9, 11, 14):
        assert torch.equal(edges(sizes.to("pretend:0"), count).cpu(), edges(sizes, count))


def test_regions_are_items_and_corners():
    r = rig()
    assert r.top[0].dims == (4, 3, 2, 3)
    values = np.array([[0, 1, 2, 3, 4], [1, 5, 6, 7, 8]], np.float32)
    items, corners = r.layer.regions([torch.zeros(2, 3, 8, 8), torch.from_numpy(values)])
    assert items.tolist() == [0, 1] and corners.tolist() == values[:, 1:].tolist()


def test_what_is_refused():
    with pytest.raises(Exception, match="the second bottom must be R x 5"):
        rig((4, 4))
    with pytest.raises(LayerError, match="pooled_h must be positive, got 0"):
        Rig('type: "ROIPooling" roi_pooling_param { pooled_w: 1 }', (1, 1, 2, 2), (1, 5))
    r = rig((2, 5))
    with pytest.raises(DataError, match="region 1 belongs to item 2 of the batch; expected 0 to 1"):
        r.forward(np.zeros((2, 3, 8, 8)), np.array([[0] * 5, [2] * 5]))
