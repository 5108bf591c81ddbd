"""Proposal, and py-faster-rcnn's layer of the same task, against a loop of NumPy."""

import numpy as np
import pytest
from harness import Rig
from proposing import F, bottoms, propose, published_anchors, python

import caffe
from caffe.errors import LayerError, ShapeError


@pytest.mark.parametrize("seed", range(6))
def test_proposals(device, seed):
    args = bottoms(seed, items=2)
    text = "min_size: 20 pre_nms_topn: 150 post_nms_topn: 25 nms_thresh: 0.6"
    rig = Rig(f'type: "Proposal" proposal_param {{ {text} }}', *(a.shape for a in args), tops=2)
    assert rig.top[0].dims == (50, 5)
    rois = rig.forward(*args)
    found = np.column_stack([rois[:, 0], rig.top[1].data, rois[:, 1:]])
    parts = [
        propose(s, d, i[:2], published_anchors(), 30, 150, 25, 0.6, drop=False)
        for s, d, i in zip(*args)
    ]
    expected = np.concatenate([np.insert(part, 0, i, axis=1) for i, part in enumerate(parts)])
    assert found.shape == expected.shape and np.allclose(found, expected, atol=1e-3)


def test_each_side_may_have_a_scale_of_its_own():
    scores, deltas, _ = bottoms(0)
    least = []
    for size in ([80, 96, 2], [80, 96, 2, 2], [80, 96, 2, 4]):
        rig = Rig('type: "Proposal"', scores.shape, deltas.shape, (1, len(size)), tops=2)
        rois = rig.forward(scores, deltas, np.array([size], F))
        least.append((rois[:, 3] - rois[:, 1] + 1)[rig.top[1].data > 0].min())
    assert 32 <= least[0] == least[1] < 64 <= least[2]


def test_other_anchors():
    args = bottoms(0, anchors=2)
    text = "ratio: 1 scale: 2 scale: 4 base_size: 8 feat_stride: 4"
    rig = Rig(f'type: "Proposal" proposal_param {{ {text} }}', *(a.shape for a in args))
    assert rig.layer.anchors.tolist() == [[-4, -4, 11, 11], [-12, -12, 19, 19]]


def test_shapes_that_do_not_fit():
    scores, deltas, size = bottoms(0)
    for shapes, match in [
        ([(1, 9, 5, 6), deltas.shape, size.shape], "scores must be N x 18 x H x W"),
        ([scores.shape, (1, 36, 6, 6), size.shape], "deltas must be"),
        ([scores.shape, deltas.shape, (1, 2)], "image sizes must be 1 x 3"),
    ]:
        with pytest.raises(ShapeError, match=match):
            Rig('type: "Proposal"', *shapes)
    with pytest.raises(LayerError, match="scores must be 1 x 18 x H x W for 9 anchors"):
        python("", bottoms(0, anchors=4))
    with pytest.raises(LayerError, match="one image at a time, got a batch of 2"):
        python("", bottoms(0, items=2)).forward(*bottoms(0, items=2))
    with pytest.raises(LayerError, match="each ratio must be positive"):
        Rig('type: "Proposal" proposal_param { ratio: 0 }', scores.shape, deltas.shape, size.shape)


def test_blobs_behind_have_as_many_rows_as_there_are_proposals(tmp_path, device):
    path = tmp_path / "n.prototxt"
    path.write_text("""
        layer { name: "in" type: "Input" top: "s" top: "d" top: "i" top: "x" input_param {
          shape { dim: 1 dim: 18 dim: 5 dim: 6 } shape { dim: 1 dim: 36 dim: 5 dim: 6 }
          shape { dim: 1 dim: 3 } shape { dim: 1 dim: 4 dim: 5 dim: 6 } } }
        layer { name: "p" type: "Proposal" bottom: "s" bottom: "d" bottom: "i" top: "rois" }
        layer { name: "r" type: "ROIPooling" bottom: "x" bottom: "rois" top: "y"
          roi_pooling_param { pooled_h: 2 pooled_w: 2 spatial_scale: 0.0625 } }
        layer { name: "f" type: "InnerProduct" bottom: "y" top: "f" inner_product_param {
          num_output: 3 weight_filler { type: "xavier" } } }""")
    net = caffe.Net(str(path), caffe.TEST)
    counts = []
    for seed in range(2):
        scores, deltas, size = bottoms(seed)
        out = net.forward(s=scores, d=deltas, i=size, x=np.ones((1, 4, 5, 6)))["f"]
        counts.append(len(net.blobs["rois"].data))
        assert out.shape == (counts[-1], 3) and out.any()
    assert counts[0] != counts[1]
