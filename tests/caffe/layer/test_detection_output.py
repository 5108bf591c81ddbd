"""DetectionOutput: against a loop as SSD writes it, in every form; order, limits, no detections."""

import json

import numpy as np
import pytest
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


def rig(settings, loc, conf, boxes, variances):
    n, k, places = loc.shape[:3]
    text = f'type: "DetectionOutput" detection_output_param {{ {settings} }}'
    shapes = (n, k * places * 4), (n, k * conf.shape[2]), (1, 2, 4 * k)
    layer = Rig(text, *shapes, phase=1)
    prior = np.stack([boxes, variances]).reshape(1, 2, -1)
    return layer, [loc.reshape(n, -1), conf.reshape(n, -1), prior]


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


LABELS = """
    item { name: "none" label: 0 display_name: "background" }
    item { name: "cat" label: 1 display_name: "cat" }
    item { name: "17" label: 2 display_name: "dog" }"""


def saving(folder, form, more="", labels="labels.prototxt", sizes="sizes.txt", count=2):
    """A layer of 2 images a batch that saves, and what it reads: one box a class and image."""
    (folder / "labels.prototxt").write_text(LABELS)
    (folder / "sizes.txt").write_text("first 100 200\n0042 50 50\n7 10 10\n")
    text = f"""num_classes: 3 save_output_param {{ output_directory: "{folder / "out" / "deep"}"
        output_name_prefix: "comp4_" output_format: "{form}"
        label_map_file: "{folder / labels}" name_size_file: "{folder / sizes}"
        num_test_image: {count} {more} }}"""
    boxes = np.array([[0.1, 0.2, 0.5, 0.6], [0.25, 0.25, 1.5, 0.75]], np.float32)
    conf = np.zeros((2, 2, 3), np.float32)
    conf[:, 0, 1], conf[:, 1, 2] = 0.875, 0.5
    layer, inputs = rig(
        f"{text} confidence_threshold: 0.1",
        np.zeros((2, 2, 1, 4), np.float32), conf, boxes, np.full((2, 4), 0.1, np.float32),
    )  # fmt: skip
    layer.forward(*inputs)
    return {path.name: path.read_text() for path in sorted((folder / "out" / "deep").iterdir())}


def test_results_for_voc(tmp_path):
    assert saving(tmp_path, "VOC") == {
        "comp4_17.txt": "first 0.5 50 25 200 75\n0042 0.5 12 12 49 37\n",
        "comp4_cat.txt": "first 0.875 20 20 100 60\n0042 0.875 5 10 25 30\n",
    }


def test_results_for_ilsvrc(tmp_path):
    assert saving(tmp_path, "ILSVRC") == {
        "comp4_.txt": "first 1 0.875 20 20 100 60\nfirst 2 0.5 50 25 200 75\n"
        "0042 1 0.875 5 10 25 30\n0042 2 0.5 12 12 49 37\n"
    }


def test_results_for_coco(tmp_path):
    found = json.loads(saving(tmp_path, "COCO")["comp4_.json"])
    assert [(d["image_id"], d["category_id"], d["score"]) for d in found] == [
        ("first", "cat", 0.875), ("first", 17, 0.5), ("0042", "cat", 0.875), ("0042", 17, 0.5),
    ]  # fmt: skip
    assert found[0]["bbox"] == [20, 20, 80, 40] and found[3]["bbox"] == [12.5, 12.5, 37.5, 25]


def test_results_of_images_that_a_net_saw_with_a_border(tmp_path):
    """100 x 200 pixels lie in the middle half of a square."""
    resize = "resize_param { resize_mode: FIT_LARGE_SIZE_AND_PAD height: 300 width: 300 }"
    found = json.loads(saving(tmp_path, "COCO", resize)["comp4_.json"])
    assert np.allclose(found[0]["bbox"], [20, 0, 80, 70])
    small = "resize_param { resize_mode: FIT_SMALL_SIZE height: 3 width: 3 height_scale: 80"
    found = json.loads(saving(tmp_path, "COCO", small + " width_scale: 60 }")["comp4_.json"])
    assert np.allclose(found[0]["bbox"], [6, 16, 24, 32])


def test_results_that_cannot_be_written(tmp_path):
    with pytest.raises(LayerError, match="save_output_param: output_format must be VOC, COCO or"):
        saving(tmp_path, "voc")
    with pytest.raises(LayerError, match=r"num_test_image is 5, .* names 3 images"):
        saving(tmp_path, "VOC", count=5)
    with pytest.raises(DataError, match="cannot read .*none.txt: No such file"):
        saving(tmp_path, "VOC", sizes="none.txt")
    (tmp_path / "bad.txt").write_text("a 3 4\nb 3\n")
    with pytest.raises(DataError, match=r"bad.txt:2: expected `name height width`, got 'b 3'"):
        saving(tmp_path, "VOC", sizes="bad.txt")
    (tmp_path / "few.prototxt").write_text('item { name: "cat" label: 1 }')
    with pytest.raises(DataError, match=r"label 2 was detected, but has no name in .*few"):
        saving(tmp_path, "VOC", labels="few.prototxt")
    assert not (tmp_path / "out").exists()


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
