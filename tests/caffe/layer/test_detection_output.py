"""DetectionOutput: against a loop as SSD writes it, in every form; order, limits, no detections."""

import numpy as np
import pytest
from detecting import rig
from harness import Rig, close

from caffe.errors import DataError, LayerError, ShapeError
from caffe.prototxt.forks import ForeignFieldWarning


def overlap(a, b):
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    if (low >= high).any():
        return 0.0

    def area(box):
        return 0.0 if (box[2:] < box[:2]).any() else np.prod(box[2:] - box[:2])

    common = np.prod(high - low)
    return common / (area(a) + area(b) - common)


def decoded(prior, variance, loc, code, in_target):
    t = loc if in_target else loc * variance
    size = prior[2:] - prior[:2]
    if code == "CORNER":
        return prior + t
    if code == "CORNER_SIZE":
        return prior + t * np.tile(size, 2)
    centre = (prior[:2] + prior[2:]) / 2 + t[:2] * size
    half = np.exp(t[2:]) * size / 2
    return np.concatenate([centre - half, centre + half])


def by_loop(
    loc, conf, boxes, variances, *, code="CORNER", in_target=False, background=0, above=-np.inf,
    threshold=0.3, top_k=-1, eta=1.0, keep=-1, clip=False
):  # fmt: skip
    """SSD's algorithm, box by box; loc N x K x L x 4, conf N x K x C."""
    rows = []
    for item in range(len(loc)):
        found = []
        for label in range(conf.shape[2]):
            if label == background:
                continue
            place = label if loc.shape[2] > 1 else 0
            candidates = [k for k in range(len(boxes)) if conf[item, k, label] > above]
            candidates.sort(key=lambda k: -conf[item, k, label])
            kept, limit = [], threshold
            for k in candidates if top_k < 0 else candidates[:top_k]:
                box = decoded(boxes[k], variances[k], loc[item, k, place], code, in_target)
                box = box.clip(0, 1) if clip else box
                if all(overlap(box, other) <= limit for other in kept):
                    kept.append(box)
                    found.append([item, label, conf[item, k, label], *box])
                    if eta < 1 and limit > 0.5:
                        limit *= eta
        if -1 < keep < len(found):
            best = sorted(range(len(found)), key=lambda i: -found[i][2])[:keep]
            found = [found[i] for i in sorted(best)]
        rows += found
    return np.array(rows, np.float32).reshape(-1, 7)


def drawn(n, k, classes, places, seed=0):
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 0.6, (k, 2))
    boxes = np.concatenate([low, low + rng.uniform(0.1, 0.5, (k, 2))], 1)
    variances = rng.uniform(0.1, 0.5, (k, 4))
    loc = rng.normal(0, 0.5, (n, k, places, 4))
    conf = rng.dirichlet(np.ones(classes), (n, k))
    return [a.astype(np.float32) for a in (loc, conf, boxes, variances)]


@pytest.mark.parametrize("in_target", [False, True])
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("code", ["CORNER", "CENTER_SIZE", "CORNER_SIZE"])
def test_codes_and_places(device, code, shared, in_target):
    arrays = drawn(2, 30, 4, 1 if shared else 4)
    layer, inputs = rig(
        f"num_classes: 4 share_location: {shared} code_type: {code} nms_param {{ top_k: 20 }} "
        f"variance_encoded_in_target: {in_target} confidence_threshold: 0.2".replace(
            "True", "true"
        ).replace("False", "false"),
        *arrays,
    )
    expected = by_loop(*arrays, code=code, in_target=in_target, above=0.2, top_k=20)
    top = layer.forward(*inputs)
    assert top.shape == (1, 1, len(expected), 7) and len(expected) > 10
    close(top[0, 0], expected)


@pytest.mark.parametrize(
    ("settings", "form"),
    [
        ("", {}),
        ("nms_param { nms_threshold: 0.45 top_k: 400 } keep_top_k: 200", dict(threshold=0.45)),
        ("nms_param { nms_threshold: 0.9 eta: 0.9 }", dict(threshold=0.9, eta=0.9)),
        ("nms_param { nms_threshold: 0.4 eta: 0.5 }", dict(threshold=0.4, eta=0.5)),
        ("nms_param { nms_threshold: 0.8 top_k: 7 } keep_top_k: 9",
         dict(threshold=0.8, top_k=7, keep=9)),
        ("nms_param { top_k: 0 }", dict(top_k=0)),
        ("keep_top_k: 3 background_label_id: -1", dict(keep=3, background=-1)),
        ("background_label_id: 2 confidence_threshold: 0.4", dict(background=2, above=0.4)),
        ("clip: true", dict(clip=True)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_selection(settings, form, seed):
    arrays = drawn(2, 40, 3, 1, seed)
    layer, inputs = rig(f"num_classes: 3 {settings}", *arrays)
    expected = by_loop(*arrays, **form)
    top = layer.forward(*inputs)
    if not len(expected):
        assert top.tolist() == [[[[item, *[-1] * 6] for item in (0, 1)]]]
    else:
        close(top[0, 0], expected)


@pytest.mark.slow
def test_more_boxes_than_fit_a_table_of_overlaps():
    arrays = drawn(1, 1500, 2, 1)
    layer, inputs = rig("num_classes: 2 nms_param { nms_threshold: 0.5 }", *arrays)
    close(layer.forward(*inputs)[0, 0], by_loop(*arrays, threshold=0.5))


def test_equal_scores_keep_their_order():
    loc, conf, boxes, variances = drawn(1, 12, 2, 1)
    conf[:] = 0.5
    conf[0, 5] = 0.75
    layer, inputs = rig("num_classes: 2 nms_param { nms_threshold: 1 top_k: 4 }",
                        loc * 0, conf, boxes, variances)  # fmt: skip
    close(layer.forward(*inputs)[0, 0, :, 3:], boxes[[5, 0, 1, 2]])


def test_without_detections_each_item_has_a_row_and_the_next_pass_is_as_before():
    arrays = drawn(3, 10, 2, 1)
    layer, inputs = rig("num_classes: 2 confidence_threshold: 0.99", *arrays)
    assert layer.forward(*inputs).tolist() == [[[[i, *[-1] * 6] for i in range(3)]]]
    inputs[1][2, 7] = 0.995
    assert layer.forward(*inputs)[0, 0, :, :3].tolist() == [[2, 1, np.float32(0.995)]]


def test_scores_and_boxes_that_are_no_numbers():
    """NaN is above no threshold, and overlaps nothing."""
    loc, conf, boxes, variances = drawn(1, 10, 2, 1)
    conf[0, 3] = np.nan
    loc[0, 4] = np.nan
    layer, inputs = rig("num_classes: 2", loc, conf, boxes, variances)
    top = layer.forward(*inputs)[0, 0]
    assert np.isfinite(top[:, 2]).all() and np.isnan(top[:, 3]).sum() == 1


def test_what_is_not_carried_out_is_told():
    arrays = drawn(1, 4, 2, 1)
    with pytest.warns(ForeignFieldWarning) as caught:
        rig('num_classes: 2 save_output_param { output_directory: "x" } visualize: true', *arrays)
    told = [str(w.message) for w in caught]
    assert len(told) == 2
    assert "save_output_param" in told[0] and "needs label_map_file and name_size_file" in told[0]
    assert "visualize of detection_output_param is not carried out" in told[1]
    rig('num_classes: 2 save_output_param { label_map_file: "x" } visualize: false', *arrays)


def test_what_is_refused():
    arrays = drawn(1, 4, 2, 1)
    for settings, match in (
        ("", "must provide num_classes"),
        ("num_classes: 2 nms_param { nms_threshold: -1 }", "nms_threshold must not be negative"),
        ("num_classes: 2 nms_param { eta: 0 }", "eta must be above 0"),
    ):
        with pytest.raises(LayerError, match=match):
            rig(settings, *arrays)
    with pytest.raises(ShapeError, match="confidence predictions: 4 priors need 12 numbers"):
        rig("num_classes: 3", *arrays)
    with pytest.raises(ShapeError, match="location predictions: 4 priors need 32 numbers"):
        rig("num_classes: 2 share_location: false", *arrays)
    layer, inputs = rig("num_classes: 2 code_type: CENTER_SIZE", *arrays)
    inputs[2][0, 0, 4:8] = 0.5
    with pytest.raises(DataError, match="prior 1 has no width or height: 0.5, 0.5"):
        layer.forward(*inputs)
    with pytest.raises(LayerError, match="no backward pass"):
        layer.backward(1.0, bottoms=[True, False, False])


def test_refinedet_moves_the_priors_and_drops_those_without_an_object():
    loc, conf, boxes, variances = drawn(2, 30, 3, 1)
    rng = np.random.default_rng(9)
    moves = rng.normal(0, 0.4, (2, 30, 4)).astype(np.float32)
    there = rng.dirichlet(np.ones(2), (2, 30)).astype(np.float32)
    words = "num_classes: 3 code_type: CENTER_SIZE objectness_score: 0.3 keep_top_k: 20"
    text = f'type: "DetectionOutput" detection_output_param {{ {words} }}'
    shapes = (2, 120), (2, 90), (1, 2, 120), (2, 60), (2, 120)
    prior = np.stack([boxes, variances]).reshape(1, 2, -1)
    top = Rig(text, *shapes, phase=1).forward(
        loc.reshape(2, -1), conf.reshape(2, -1), prior, there.reshape(2, -1), moves.reshape(2, -1)
    )
    expected = []
    for item in range(2):
        moved = np.array(
            [decoded(boxes[i], variances[i], moves[item, i], "CENTER_SIZE", False)
             for i in range(30)], np.float32
        )  # fmt: skip
        scores = np.where(there[item, :, 1:] < 0.3, [[1, 0, 0]], conf[item])
        rows = by_loop(loc[item : item + 1], scores[None], moved, variances, code="CENTER_SIZE",
                       keep=20)  # fmt: skip
        rows[:, 0] = item
        expected.append(rows)
    close(top[0, 0], np.concatenate(expected))


def test_refinedet_has_two_bottoms_more():
    text = 'type: "DetectionOutput" detection_output_param { num_classes: 3 }'
    with pytest.raises(LayerError, match="RefineDet's 5, or with normalized_bbox: false 4; got 4"):
        Rig(text, (1, 8), (1, 6), (1, 2, 8), (1, 4))
    with pytest.raises(ShapeError, match="objectness predictions: 2 priors need 4"):
        Rig(text, (1, 8), (1, 6), (1, 2, 8), (1, 6), (1, 8))


def in_pixels(settings, loc, conf, boxes, *image):
    words = f"num_classes: 3 normalized_bbox: false variance_encoded_in_target: true {settings}"
    text = f'type: "DetectionOutput" detection_output_param {{ code_type: CENTER_SIZE {words} }}'
    shapes = [(1, loc.size), (1, conf.size), (1, 1, boxes.size), *image]
    layer = Rig(text, *shapes, phase=1)
    return layer.forward(loc.reshape(1, -1), conf.reshape(1, -1), boxes.reshape(1, 1, -1))[0, 0]


def test_boxes_in_pixels_are_one_wider_than_their_corners_are_apart():
    loc, conf, boxes, _ = drawn(1, 25, 3, 1)
    boxes = (boxes * 60).round()
    sizes = boxes[:, 2:] - boxes[:, :2] + 1
    middle = boxes[:, :2] + sizes / 2 + loc[0, :, 0, :2] * sizes
    half = np.exp(loc[0, :, 0, 2:]) * sizes / 2
    found = np.concatenate([middle - half, middle + half], 1)
    expected = []
    for label in (1, 2):
        kept = []
        for i in np.argsort(-conf[0, :, label], kind="stable"):
            longer = [np.append(box[:2], box[2:] + 1) for box in (found[i], *found[kept])]
            if all(overlap(longer[0], other) <= 0.3 for other in longer[1:]):
                kept.append(i)
        expected += [[0, label, conf[0, i, label], *found[i]] for i in kept]
    close(in_pixels("", loc, conf, boxes), np.array(expected))
    clipped = in_pixels("clip: true keep_top_k: 5", loc, conf, boxes, (1, 3, 40, 50))
    assert (clipped[:, 3:] >= 0).all() and (clipped[:, 3:] <= [49, 39, 49, 39]).all()


def test_pixels_are_clipped_to_an_image():
    loc, conf, boxes, _ = drawn(1, 5, 3, 1)
    with pytest.raises(LayerError, match="needs a fourth bottom, the image"):
        in_pixels("clip: true", loc, conf, boxes * 50)
    with pytest.raises(ShapeError, match="image must have 4 axes"):
        in_pixels("clip: true", loc, conf, boxes * 50, (3, 40, 50))
