"""Proposal, and py-faster-rcnn's layer of the same task, against a loop of NumPy."""

import numpy as np
import pytest
from harness import TEST, TRAIN, Rig
from test_boxes import greedy

import caffe
from caffe.errors import LayerError, ShapeError
from caffe.layer.extensions._py_faster_rcnn import SELECTIONS, read_settings

F = np.float32


def bottoms(seed, height=5, width=6, anchors=9, items=1):
    rng = np.random.default_rng(seed)
    scores = rng.permutation(items * 2 * anchors * height * width).astype(F)
    scores = scores.reshape(items, 2 * anchors, height, width) / scores.size
    deltas = rng.normal(0, 0.3, (items, 4 * anchors, height, width)).astype(F)
    return scores, deltas, np.array([[16 * height, 16 * width, 1.5]] * items, F)


def propose(scores, deltas, size, anchors, least, before, after, overlap, drop):
    """Rows (score, x1, y1, x2, y2) for one image.  Small boxes drop out or score nothing."""
    rows = []
    for h, w in np.ndindex(*scores.shape[1:]):
        for a, (x1, y1, x2, y2) in enumerate(anchors):
            dx, dy, dw, dh = deltas[4 * a : 4 * a + 4, h, w]
            wide, high = F(x2 - x1 + 1), F(y2 - y1 + 1)
            cx = F(x1 + 16 * w) + F(0.5) * wide + dx * wide
            cy = F(y1 + 16 * h) + F(0.5) * high + dy * high
            wide, high = np.exp(dw) * wide, np.exp(dh) * high
            box = [cx - wide / 2, cy - high / 2, cx + wide / 2, cy + high / 2]
            box = [min(max(v, F(0)), size[i] - 1) for v, i in zip(box, (1, 0, 1, 0))]
            small = box[2] - box[0] + 1 < least or box[3] - box[1] + 1 < least
            if not (small and drop):
                rows.append([0 if small else scores[len(anchors) + a, h, w], *box])
    rows = np.array(sorted(rows, key=lambda row: -row[0])[:before], F)
    return rows[greedy(rows[:, 1:], overlap)][:after]


def published_anchors():
    from test_boxes import _boxes

    return _boxes.anchors(16, (0.5, 1, 2), (8, 16, 32), np.round)


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


@pytest.mark.parametrize("phase", [TRAIN, TEST])
@pytest.mark.parametrize("seed", range(3))
def test_the_python_layer_without_its_module(device, phase, seed):
    args = bottoms(seed)
    rig = python("'feat_stride': 16", args, phase=phase, tops=2)
    rois = rig.forward(*args)
    least, before, after, overlap = SELECTIONS[phase]
    expected = propose(
        args[0][0], args[1][0], args[2][0, :2], published_anchors(), least * 1.5, before, after,
        overlap, drop=True,
    )  # fmt: skip
    assert rois.shape == (len(expected), 5) and not rois[:, 0].any()
    assert np.allclose(rois[:, 1:], expected[:, 1:], atol=1e-3)
    assert np.allclose(rig.top[1].data, expected[:, :1])


def python(settings, args, **options):
    text = settings.replace("\n", "\\n")
    return Rig(
        f"type: 'Python' python_param {{ module: 'rpn.proposal_layer' layer: 'ProposalLayer' "
        f'param_str: "{text}" }}',
        *(a.shape for a in args),
        **options,
    )


def test_the_python_layer_takes_other_settings():
    args = bottoms(0, anchors=3)
    text = "'feat_stride': 16 \n'scales': !!python/tuple [8]\n'RPN_POST_NMS_TOP_N': 4"
    rig = python(text, args, phase=TEST)
    assert rig.forward(*args).shape == (4, 5)
    with pytest.raises(LayerError, match="param_str sets scale; ProposalLayer knows feat_stride"):
        python("'scale': [8]", args)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("'feat_stride': 16", {"feat_stride": 16}),
        ("{'feat_stride': 16, 'scales': (8, 16)}", {"feat_stride": 16, "scales": (8, 16)}),
        ("'feat_stride': 16\\n'scales': [4]", {"feat_stride": 16, "scales": [4]}),
        ("feat_stride: 16\nscales: [4]\n", {"feat_stride": 16, "scales": [4]}),
        ("", {}),
    ],
)
def test_param_str(text, found):
    assert read_settings(text) == found


@pytest.mark.parametrize("text", ["feat_stride", "16", "'a': import", "a: __import__('os')"])
def test_param_str_that_is_something_else(text):
    with pytest.raises(LayerError, match="must hold 'name': value pairs"):
        read_settings(text)


def test_a_users_module_is_preferred(tmp_path, monkeypatch):
    (tmp_path / "rpn").mkdir()
    (tmp_path / "rpn" / "__init__.py").write_text("")
    (tmp_path / "rpn" / "proposal_layer.py").write_text(
        "import caffe\nclass ProposalLayer(caffe.Layer):\n"
        "    def setup(self, bottom, top): top[0].reshape(7)\n"
        "    def reshape(self, bottom, top): pass\n"
        "    def forward(self, bottom, top): pass\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        assert python("", bottoms(0)).top[0].dims == (7,)
        (tmp_path / "rpn" / "proposal_layer.py").write_text("print 'Python 2'")
    finally:
        forget("rpn")
    try:
        with pytest.raises(LayerError, match=r"SyntaxError.*the layer that is built in here"):
            python("", bottoms(0))
    finally:
        forget("rpn")


def forget(package):
    import sys

    for name in [n for n in sys.modules if n.split(".")[0] == package]:
        del sys.modules[name]


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
