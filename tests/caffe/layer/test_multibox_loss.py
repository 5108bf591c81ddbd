"""MultiBoxLoss: loss and gradients against SSD's algorithm written box by box, in its forms."""

import itertools
import math

import numpy as np
import pytest
from harness import Rig, close
from test_detection_output import decoded, overlap

from caffe.errors import DataError, LayerError, ShapeError

DEFAULTS = dict(
    loc="SMOOTH_L1", conf="SOFTMAX", weight=1.0, classes=4, shared=True, match="PER_PREDICTION",
    threshold=0.5, by_prior=True, background=0, difficult=True, ratio=3.0, neg_overlap=0.5,
    code="CENTER_SIZE", in_target=False, agnostic=False, inside_only=False, bp_inside=False,
    mining="MAX_NEGATIVE", samples=64, nms=None, nms_by_prior=False, mode="VALID",
)  # fmt: skip


def text(**form):
    f = {**DEFAULTS, **form}
    nms = f"nms_param {{ nms_threshold: {f['nms'][0]} top_k: {f['nms'][1]} }}" if f["nms"] else ""
    words = f"""type: "MultiBoxLoss" loss_param {{ normalization: {f["mode"]} }}
        multibox_loss_param {{ loc_loss_type: {f["loc"]} conf_loss_type: {f["conf"]}
        loc_weight: {f["weight"]} num_classes: {f["classes"]} share_location: {f["shared"]}
        match_type: {f["match"]} overlap_threshold: {f["threshold"]}
        use_prior_for_matching: {f["by_prior"]} background_label_id: {f["background"]}
        use_difficult_gt: {f["difficult"]} neg_pos_ratio: {f["ratio"]}
        neg_overlap: {f["neg_overlap"]} code_type: {f["code"]}
        encode_variance_in_target: {f["in_target"]} map_object_to_agnostic: {f["agnostic"]}
        ignore_cross_boundary_bbox: {f["inside_only"]} bp_inside: {f["bp_inside"]}
        mining_type: {f["mining"]} sample_size: {f["samples"]}
        use_prior_for_nms: {f["nms_by_prior"]} {nms} }}"""
    return words.replace("True", "true").replace("False", "false")


def encoded(prior, variance, box, code, in_target):
    size = prior[2:] - prior[:2]
    if code == "CORNER":
        t = box - prior
    elif code == "CORNER_SIZE":
        t = (box - prior) / np.tile(size, 2)
    else:
        centre = ((box[:2] + box[2:]) - (prior[:2] + prior[2:])) / 2 / size
        t = np.concatenate([centre, np.log((box[2:] - box[:2]) / size)])
    return t if in_target else t / variance


def matched(boxes, objects, f):
    """For each box the object, None or "ignored", and its overlap."""
    found, best, near = [None] * len(boxes), [0.0] * len(boxes), {}
    for i, box in enumerate(boxes):
        if f["inside_only"] and (min(box) < 0 or max(box) > 1):
            found[i] = "ignored"
            continue
        for j, thing in enumerate(objects):
            share = overlap(box, thing)
            if share > 1e-6:
                best[i] = max(best[i], share)
                near[i, j] = share
    pool = set(range(len(objects)))
    while pool:
        free = [(-v, i, j) for (i, j), v in near.items() if found[i] is None and j in pool]
        if not free:
            break
        share, i, j = min(free)
        found[i], best[i] = j, -share
        pool.discard(j)
    if f["match"] == "PER_PREDICTION":
        for i in range(len(boxes)):
            close_ones = [(-v, j) for (k, j), v in near.items() if k == i and v >= f["threshold"]]
            if found[i] is None and close_ones:
                found[i] = min(close_ones)[1]
    return found, best


def smooth(x):
    return 0.5 * x * x if abs(x) < 1 else abs(x) - 0.5


def score_loss(row, target, f):
    """Loss and gradient of the scores of one box; target is a label, or None for no target."""
    if f["conf"] == "SOFTMAX":
        e = np.exp(row - row.max())
        p = e / e.sum()
        hot = np.eye(len(row))[target]
        return -math.log(p[target]), p - hot
    hot = np.zeros(len(row))
    if target is not None:
        hot[target] = 1
    p = 1 / (1 + np.exp(-row))
    return -(hot * np.log(p) + (1 - hot) * np.log(1 - p)).sum(), p - hot


def by_loop(loc, conf, priors, variances, rows, /, **form):
    """loc N x K x L x 4, conf N x K x C; the loss and both gradients."""
    f = {**DEFAULTS, **form}
    n, k, places = loc.shape[:3]
    dloc, dconf = np.zeros(loc.shape), np.zeros(conf.shape)
    loc_loss = conf_loss = matches = 0.0

    def pair(i, j, place, box):
        wanted = encoded(priors[j], variances[j], box, f["code"], f["in_target"])
        given = loc[i, j, place].copy()
        if f["bp_inside"]:
            spot = priors[j]
            if not f["by_prior"]:
                spot = decoded(spot, variances[j], given, f["code"], f["in_target"])
            given = np.where((spot < 0) | (spot > 1), wanted, given)
        return (given - wanted) / (variances[j] if f["in_target"] else 1)

    for i in range(n):
        things = [r for r in rows if r[0] == i and (f["difficult"] or not r[7])]
        names = [f["background"] + 1 if f["agnostic"] else int(r[1]) for r in things]
        boxes = [r[3:7] for r in things]
        found = {}
        for place in range(places) if things else ():
            if f["by_prior"]:
                hits, best = matched(priors, boxes, f)
                if not f["shared"]:
                    hits = [h if isinstance(h, int) and names[h] == place else None for h in hits]
            else:
                mine = [m for m in range(len(things)) if f["shared"] or names[m] == place]
                guess = [
                    decoded(priors[j], variances[j], loc[i, j, place], f["code"], f["in_target"])
                    for j in range(k)
                ]
                hits, best = matched(guess, [boxes[m] for m in mine], f)
                hits = [mine[h] if isinstance(h, int) else h for h in hits]
            found[place] = hits
        negative = []
        if f["mining"] != "NONE" and things:
            hits = found[0]
            losses = []
            for j in range(k):
                hit = isinstance(hits[j], int)
                losses.append(
                    score_loss(conf[i, j], names[hits[j]] if hit else f["background"], f)[0]
                )
                if hit and f["mining"] == "HARD_EXAMPLE":
                    x = pair(i, j, 0, boxes[hits[j]])
                    losses[j] += sum(0.5 * v * v if f["loc"] == "L2" else smooth(v) for v in x)
            if f["mining"] == "MAX_NEGATIVE":
                may = [j for j in range(k) if hits[j] is None and best[j] < f["neg_overlap"]]
                count = int(sum(isinstance(h, int) for h in hits) * f["ratio"])
            else:
                may, count = list(range(k)), f["samples"]
            may.sort(key=lambda j: -losses[j])
            if f["nms"]:
                kept = []
                for j in may[: f["nms"][1]]:
                    box = priors[j]
                    if not f["nms_by_prior"]:
                        box = decoded(box, variances[j], loc[i, j, 0], f["code"], f["in_target"])
                    if np.prod(box[2:] - box[:2]) < 1e-5 or (box[2:] < box[:2]).any():
                        continue
                    if all(overlap(box, other) <= f["nms"][0] for _, other in kept):
                        kept.append((j, box))
                may = [j for j, _ in kept]
            chosen = set(may[:count])
            negative = [j for j in chosen if hits[j] is None]
            if f["mining"] == "HARD_EXAMPLE":
                found[0] = [
                    None if isinstance(h, int) and j not in chosen else h
                    for j, h in enumerate(hits)
                ]
        targets = {}
        for place, j in itertools.product(found, range(k)):
            hit = found[place][j]
            if isinstance(hit, int):
                matches += 1
                x = pair(i, j, place, boxes[hit])
                loc_loss += sum(0.5 * v * v if f["loc"] == "L2" else smooth(v) for v in x)
                dloc[i, j, place] = x if f["loc"] == "L2" else np.clip(x, -1, 1)
                targets[j] = names[hit]
        if f["mining"] == "NONE":
            rest = set(range(k)) - set(targets)
            targets.update(dict.fromkeys(rest, f["background"] if f["conf"] == "SOFTMAX" else None))
        else:
            targets.update(dict.fromkeys(negative, f["background"]))
        for j, target in targets.items():
            loss, gradient = score_loss(conf[i, j], target, f)
            conf_loss += loss
            dconf[i, j] = gradient
    divisor = max(1, dict(VALID=matches, FULL=n * k, BATCH_SIZE=n, NONE=1)[f["mode"]])
    return (
        (f["weight"] * loc_loss + conf_loss) / divisor,
        f["weight"] * dloc / divisor,
        dconf / divisor,
    )


def drawn(seed, n=3, k=40, **form):
    """Offsets, scores, priors, variances, objects; item 1 has no object, one is difficult."""
    f = {**DEFAULTS, **form}
    rng = np.random.default_rng(seed)
    low = rng.uniform(-0.1, 0.6, (k, 2))
    priors = np.concatenate([low, low + rng.uniform(0.15, 0.5, (k, 2))], 1)
    variances = rng.uniform(0.1, 0.3, (k, 4))
    places = 1 if f["shared"] else f["classes"]
    loc = rng.normal(0, 1, (n, k, places, 4))
    conf = rng.normal(0, 1.5, (n, k, f["classes"]))
    rows = []
    for item in (0, 0, 2, 2, 2):
        corner = rng.uniform(0, 0.6, 2)
        box = [*corner, *(corner + rng.uniform(0.2, 0.4, 2))]
        labels = [c for c in range(f["classes"]) if c != f["background"]]
        rows.append([item, rng.choice(labels), 0, *box, 0])
    rows[3][7] = 1
    rows.insert(1, [-1] * 8)
    return [np.asarray(a, np.float32) for a in (loc, conf, priors, variances, rows)]


def rig(arrays, **form):
    loc, conf, priors, variances, rows = arrays
    n, k = loc.shape[:2]
    inputs = [
        loc.reshape(n, -1),
        conf.reshape(n, -1),
        np.stack([priors, variances]).reshape(1, 2, -1),
        rows.reshape(1, 1, -1, 8),
    ]
    return Rig(text(**form), *[a.shape for a in inputs]), inputs


FORMS = [
    {},
    dict(loc="L2", weight=0.7, mode="FULL"),
    dict(conf="LOGISTIC", mode="BATCH_SIZE"),
    dict(match="BIPARTITE", mode="NONE"),
    dict(threshold=0.3, neg_overlap=0.2, ratio=1.5),
    dict(difficult=False),
    dict(code="CORNER"),
    dict(code="CORNER_SIZE", in_target=True),
    dict(in_target=True, bp_inside=True),
    dict(by_prior=False, bp_inside=True),
    dict(by_prior=False, threshold=0.1, mining="HARD_EXAMPLE", samples=12, code="CORNER"),
    dict(inside_only=True, threshold=0.3),
    dict(mining="NONE"),
    dict(mining="NONE", conf="LOGISTIC", threshold=0.2),
    dict(mining="NONE", shared=False, threshold=0.3),
    dict(mining="NONE", shared=False, by_prior=False, code="CORNER"),
    dict(mining="HARD_EXAMPLE", samples=10, threshold=0.2),
    dict(mining="HARD_EXAMPLE", samples=9, conf="LOGISTIC", loc="L2", threshold=0.2),
    dict(nms=(0.4, 30), ratio=5.0),
    dict(nms=(0.5, 15), nms_by_prior=True, mining="HARD_EXAMPLE", samples=8, threshold=0.2),
    dict(agnostic=True, classes=2, threshold=0.3),
    dict(background=2),
]


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("form", FORMS, ids=lambda form: " ".join(map(str, form)) or "defaults")
def test_against_the_algorithm_box_by_box(device, form, seed):
    arrays = drawn(seed, **form)
    layer, inputs = rig(arrays, **form)
    loss, dloc, dconf = by_loop(*[a.astype(np.float64) for a in arrays], **form)
    close(layer.forward(*inputs), np.float64(loss))
    found_loc, found_conf, *others = layer.backward(0.5)
    assert others == [None, None]
    close(found_loc, 0.5 * dloc.reshape(found_loc.shape))
    close(found_conf, 0.5 * dconf.reshape(found_conf.shape))


def test_the_gradient_is_the_derivative():
    """Central differences, far enough from where the selection changes."""
    arrays = drawn(5)
    layer, inputs = rig(arrays)
    layer.forward(*inputs)
    diffs = layer.backward(1.0)[:2]
    rng = np.random.default_rng(0)
    for bottom, diff in zip((0, 1), diffs):
        places = np.flatnonzero(diff.reshape(-1))
        for place in rng.choice(places, 12, replace=False):
            ends = []
            for step in (1e-2, -1e-2):
                moved = [a.copy() for a in inputs]
                moved[bottom].reshape(-1)[place] += step
                ends.append(float(layer.forward(*moved)))
            assert (ends[0] - ends[1]) / 2e-2 == pytest.approx(
                diff.reshape(-1)[place], rel=0.03, abs=2e-3
            )


def test_without_objects_there_is_no_loss_unless_all_boxes_count():
    arrays = drawn(0)
    arrays[4][:, 0] = -1
    layer, inputs = rig(arrays)
    assert layer.forward(*inputs) == 0
    assert not any(d.any() for d in layer.backward(1.0)[:2])
    layer, inputs = rig(arrays, mining="NONE", mode="FULL")
    assert layer.forward(*inputs) > 0
    dloc, dconf, *_ = layer.backward(1.0)
    assert not dloc.any() and dconf.any()


def test_before_a_forward_pass_the_gradient_is_zero():
    layer, _ = rig(drawn(0))
    assert not any(d.any() for d in layer.backward(1.0)[:2])


def test_a_part_that_does_not_propagate_is_no_part_of_the_loss():
    arrays = drawn(0)
    both, inputs = rig(arrays)
    parts = []
    for flags in ("true false false false", "false true false false"):
        words = " ".join(f"propagate_down: {flag}" for flag in flags.split())
        layer = Rig(f"{words} {text()}", *[a.shape for a in inputs])
        parts.append(float(layer.forward(*inputs)))
    assert min(parts) > 0 and sum(parts) == pytest.approx(float(both.forward(*inputs)), rel=1e-5)


def test_the_old_form_of_mining():
    arrays = drawn(0)
    _, inputs = rig(arrays)
    shapes = [a.shape for a in inputs]
    losses = {}
    for words in ("", "do_neg_mining: true", "do_neg_mining: false", "mining_type: NONE"):
        layer = Rig(
            f'type: "MultiBoxLoss" multibox_loss_param {{ num_classes: 4 {words} }}', *shapes
        )
        losses[words] = float(layer.forward(*inputs))
    assert losses[""] == losses["do_neg_mining: true"]
    assert losses["do_neg_mining: false"] == losses["mining_type: NONE"] != losses[""]
    with pytest.raises(LayerError, match="contradict"):
        Rig(
            'type: "MultiBoxLoss" multibox_loss_param { num_classes: 4 do_neg_mining: true '
            "mining_type: NONE }",
            *shapes,
        )


@pytest.mark.parametrize(
    ("column", "value", "match"),
    [
        (1, 0, "label 0; expected 0 to 3, without the background label 0"),
        (1, 4, "label 4; expected 0 to 3"),
        (0, 3, "item 3; expected 0 to 2"),
        (1, np.nan, "label nan"),
    ],
)
def test_objects_that_cannot_be(column, value, match):
    arrays = drawn(0)
    arrays[4][2, column] = value
    layer, inputs = rig(arrays)
    with pytest.raises(DataError, match=match):
        layer.forward(*inputs)


def test_what_is_refused():
    arrays = drawn(0)
    _, inputs = rig(arrays)
    shapes = [a.shape for a in inputs]
    for words, match in (
        ("", "must provide num_classes"),
        ("num_classes: 4 share_location: false", "mining needs share_location"),
        ("num_classes: 4 mining_type: HARD_EXAMPLE sample_size: 0", "sample_size must be"),
        ("num_classes: 4 background_label_id: 4", "below num_classes"),
        ("num_classes: 4 map_object_to_agnostic: true", "needs num_classes: 2"),
    ):
        with pytest.raises(LayerError, match=match):
            Rig(f'type: "MultiBoxLoss" multibox_loss_param {{ {words} }}', *shapes)
    with pytest.raises(ShapeError, match="40 priors need 200 numbers an item"):
        Rig('type: "MultiBoxLoss" multibox_loss_param { num_classes: 5 }', *shapes)
    with pytest.raises(ShapeError, match="objects must be"):
        Rig(text(), *shapes[:3], (1, 1, 5, 7))
