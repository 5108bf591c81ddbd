"""py-faster-rcnn's training layers without their modules, against loops of NumPy."""

import numpy as np
import pytest
from harness import Rig
from test_boxes import _boxes

from caffe.errors import LayerError

F = np.float32
ANCHORS = _boxes.anchors(16, (0.5, 1, 2), (8, 16, 32), np.round)
TRUTH = np.array([[60, 60, 220, 190, 3], [150, 40, 260, 250, 7]], F)


def iou(a, b):
    w = min(a[2], b[2]) - max(a[0], b[0]) + 1
    h = min(a[3], b[3]) - max(a[1], b[1]) + 1
    common = max(w, 0) * max(h, 0)
    return common / (sum((c[2] - c[0] + 1) * (c[3] - c[1] + 1) for c in (a, b)) - common)


def deltas_of(box, target):
    w, h = box[2] - box[0] + 1, box[3] - box[1] + 1
    v, g = target[2] - target[0] + 1, target[3] - target[1] + 1
    x, y = (target[0] + v / 2) - (box[0] + w / 2), (target[1] + g / 2) - (box[1] + h / 2)
    return [x / w, y / h, np.log(v / w), np.log(g / h)]


def python(kind, text, shapes, tops):
    module = {"AnchorTargetLayer": "anchor", "ProposalTargetLayer": "proposal"}[kind]
    text = text.replace("\n", "\\n")
    return Rig(
        f"type: 'Python' python_param {{ module: 'rpn.{module}_target_layer' layer: '{kind}' "
        f'param_str: "{text}" }}',
        *shapes,
        tops=tops,
    )


def anchor_rig(text="", size=(18, 20), count=2):
    shapes = (1, 18, *size), (count, 5), (1, 3), (1, 3, size[0] * 16, size[1] * 16)
    return python("AnchorTargetLayer", text, shapes, 4)


def run_anchors(rig, truth=TRUTH, size=(18, 20)):
    rig.forward(
        np.zeros((1, 18, *size)), truth, [[16 * size[0], 16 * size[1], 1]], np.zeros((1, 3, 1, 1))
    )
    labels = rig.top[0].data.reshape(9, *size)
    rest = [top.data.reshape(9, 4, *size) for top in rig.top[1:]]
    return labels, *rest


@pytest.mark.parametrize("border", [0, 40])
def test_labels_of_anchors(border):
    np.random.seed(0)
    text = f"'feat_stride': 16\n'allowed_border': {border}\n'RPN_BATCHSIZE': 100000"
    labels, deltas, inner, outer = run_anchors(anchor_rig(text))
    boxes, best = {}, [0, 0]
    for a, h, w in np.ndindex(*labels.shape):
        box = ANCHORS[a] + np.array([w, h, w, h]) * 16
        if box.min() < -border or box[2] >= 320 + border or box[3] >= 288 + border:
            assert labels[a, h, w] == -1 and not deltas[a, :, h, w].any()
            continue
        boxes[a, h, w] = box, [iou(box, t) for t in TRUTH]
        best = np.maximum(best, boxes[a, h, w][1])
    kinds = {1: 0, 0: 0, -1: 0}
    for at, (box, overlaps) in boxes.items():
        expected = 0 if max(overlaps) < 0.3 else -1
        if max(overlaps) >= 0.7 or any(o == b for o, b in zip(overlaps, best)):
            expected = 1
        kinds[expected] += 1
        a, h, w = at
        assert labels[at] == expected
        target = deltas_of(box, TRUTH[int(np.argmax(overlaps))])
        assert np.allclose(deltas[a, :, h, w], target, atol=1e-5)
        assert (inner[a, :, h, w] == (expected == 1)).all()
    counted = kinds[0] + kinds[1]
    assert kinds[1] >= 2 and kinds[0] > 5 and counted == (labels >= 0).sum()
    assert np.allclose(outer.sum((1,)), 4 / counted * (labels >= 0))


def test_anchors_are_drawn_by_numpys_generator():
    drawn = []
    for seed in (0, 0, 1):
        np.random.seed(seed)
        labels, _, _, outer = run_anchors(anchor_rig("'RPN_BATCHSIZE': 8\n'allowed_border': 40"))
        assert (labels >= 0).sum() == 8 and (labels == 1).sum() <= 4
        assert np.unique(outer).tolist() == [0, F(1 / 8)]
        drawn.append(labels.copy())
    assert np.array_equal(drawn[0], drawn[1]) and not np.array_equal(drawn[0], drawn[2])


def test_an_image_without_objects_is_background():
    labels, deltas, inner, _ = run_anchors(anchor_rig(count=0), np.zeros((0, 5)))
    assert set(np.unique(labels)) == {-1, 0} and not deltas.any() and not inner.any()


def test_a_positive_weight_shares_the_loss_out():
    np.random.seed(0)
    labels, _, _, outer = run_anchors(anchor_rig("'RPN_POSITIVE_WEIGHT': 0.25"))
    per_kind = [outer[:, 0][labels == kind].sum() for kind in (1, 0)]
    assert per_kind == pytest.approx([0.25, 0.75])


def test_anchor_targets_take_one_image():
    with pytest.raises(LayerError, match="one image at a time, got a batch of 2"):
        python("AnchorTargetLayer", "", [(2, 18, 3, 3), (1, 5), (1, 3)], 4).forward()


def proposals(count=200):
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 300, (count, 2, 2)).astype(F)
    near = TRUTH[rng.integers(0, 2, count), :4] + rng.normal(0, 15, (count, 4))
    boxes = np.concatenate([np.concatenate([corners.min(1), corners.max(1)], 1), near])
    return np.insert(boxes.astype(F), 0, 0, axis=1)


def run_proposals(text="", seed=0, rois=None):
    rois = proposals() if rois is None else rois
    np.random.seed(seed)
    rig = python("ProposalTargetLayer", text, [rois.shape, TRUTH.shape], 5)
    rig.forward(rois, TRUTH)
    return [top.data.copy() for top in rig.top]


@pytest.mark.parametrize("agonistic", [False, True])
def test_targets_of_proposals(agonistic):
    text = f"'num_classes': 9\n'AGONISTIC': {agonistic}"
    rois, classes, deltas, inner, outer = run_proposals(text)
    assert rois.shape == (128, 5) and classes.shape == (128,) and deltas.shape == (128, 36)
    assert (classes > 0).sum() == 32 and (classes[:32] > 0).all()
    known = {
        row.tobytes() for row in np.concatenate([proposals(), np.insert(TRUTH[:, :4], 0, 0, 1)])
    }
    for roi, kind, row, weights in zip(rois, classes, deltas, inner):
        assert roi.tobytes() in known
        overlaps = [iou(roi[1:].astype(float), t) for t in TRUTH.astype(float)]
        nearest = int(np.argmax(overlaps))
        assert (max(overlaps) >= 0.5) == (kind > 0)
        if not kind:
            assert not row.any() and not weights.any()
            continue
        assert kind == TRUTH[nearest, 4]
        place = slice(4 * (1 if agonistic else int(kind)), None)
        target = np.array(deltas_of(roi[1:], TRUTH[nearest])) / [0.1, 0.1, 0.2, 0.2]
        assert np.allclose(row[place][:4], target, atol=1e-4)
        assert (weights[place][:4] == 1).all() and weights.sum() == 4
    assert np.array_equal(outer, inner > 0)


def test_all_proposals_without_a_batch_size():
    rois, classes, *_ = run_proposals("'BATCH_SIZE': -1")
    assert len(rois) == len(proposals()) + 2 and (classes > 0).sum() > 32


def test_few_proposals():
    rois, classes, *_ = run_proposals(rois=proposals()[:3])
    assert len(rois) == 5 and set(classes) == {0, 3, 7}  # the true boxes are proposals too


def test_proposal_targets_refuse():
    with pytest.raises(LayerError, match=r"class beyond num_classes 5: \[.*7.0\]"):
        run_proposals("'num_classes': 5")
    wrong = proposals()
    wrong[3, 0] = 1
    with pytest.raises(LayerError, match="their first number must be 0"):
        run_proposals(rois=wrong)
    with pytest.raises(LayerError, match="param_str sets feat_stride; ProposalTargetLayer knows"):
        run_proposals("'feat_stride': 16")


def test_the_data_layer_says_what_it_would_need():
    text = "type: 'Python' python_param { module: 'roi_data_layer.layer' layer: 'RoIDataLayer' }"
    with pytest.raises(LayerError, match=r"no module named 'roi_data_layer.layer': .*gt_boxes"):
        Rig(text)
