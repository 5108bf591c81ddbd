"""The losses of Siamese nets, margins, probabilities and weighted confusions."""

from cases.losses import NORMALIZATIONS, larger
from cases.make import case, feed, inputs, layer, net, single


def weight_of(number, choice):
    return choice.real(0.2, 3) if number % 2 else None


def contrastive(number, choice):
    """Pairs inside and outside the margin; any similarity that truncates to 0 is unlike."""
    items, length = choice.int(3, 6), choice.int(1, 5)
    tail = [1, 1] if number % 3 == 1 else []
    similar = [1, 0] + [choice.pick([0, 1, 0.5, -1, 2]) for _ in range(items - 2)]
    bottoms = {
        "a": choice.normal([items, length] + tail),
        "b": choice.normal([items, length] + tail),
        "similar": {"kind": "values", "shape": [items] + tail, "values": similar},
    }
    param = {
        "margin": [None, 3, 1.5, 0.7][number % 4],
        "legacy_version": True if number % 3 == 2 else None,
    }
    found = single(
        "ContrastiveLoss",
        number,
        choice,
        bottoms,
        ["loss"],
        loss=True,
        no_grad=["similar"],
        repeat=number % 5 == 3,
        loss_weight=weight_of(number, choice),
        contrastive_loss_param=param,
    )
    if number % 4 == 2:  # fewer pairs: BVLC Caffe sizes its memory once and for all
        fewer = {
            blob: dict(array, shape=[2] + array["shape"][1:]) for blob, array in bottoms.items()
        }
        fewer["similar"]["values"] = [0, 1]
        found["steps"] += feed(fewer) + [{"op": "forward"}, {"op": "backward"}]
    return found


def hinge(number, choice):
    """A second backward pass starts from what the first left in the scores' diff."""
    items, classes = choice.int(2, 5), choice.int(2, 5)
    tail = [choice.int(1, 3) for _ in range(choice.int(0, 2))]
    count = classes
    for size in tail:
        count *= size
    labels = [items] + [[], [1], [1, 1, 1], [2]][number % 4]  # of [2] every other one is unused
    bottoms = {
        "score": choice.normal([items, classes] + tail, scale=2),
        "label": choice.labels(labels, count),
    }
    return single(
        "HingeLoss",
        number,
        choice,
        bottoms,
        ["loss"],
        loss=True,
        no_grad=["label"],
        second=larger(bottoms) if number % 5 == 2 else None,
        repeat=number % 3 == 1,
        loss_weight=weight_of(number, choice),
        hinge_loss_param={"norm": [None, "L1", "L2", "L2"][number % 4]},
    )


def multinomial(number, choice):
    """Probabilities down to zero, and numbers that are none."""
    items, classes = choice.int(2, 5), choice.int(2, 5)
    tail = [choice.int(1, 3) for _ in range(choice.int(0, 2))]
    count = classes
    for size in tail:
        count *= size
    low = [0.001, 0, -0.3][number % 3]
    array = choice.uniform([items, classes] + tail, low, 1)
    if number % 6 == 1:  # many zeros, two items of which cannot both be right
        array = dict(choice.ties([items, classes] + tail, 0, 3))
    bottoms = {"prob": array, "label": choice.labels([items] + [1] * (number % 4), count)}
    return single(
        "MultinomialLogisticLoss",
        number,
        choice,
        bottoms,
        ["loss"],
        loss=True,
        no_grad=["label"],
        second=larger(bottoms) if number % 5 == 2 else None,
        loss_weight=weight_of(number, choice),
    )


def infogain(number, choice):
    """The matrix from a file, or from a third bottom, where only a net of its own can run."""
    classes = choice.int(2, 5)
    tail = [choice.int(1, 4) for _ in range(choice.int(0, 2))]
    lead = [choice.int(4, 5) if tail else 9]  # so many that ignoring leaves some
    axis = None
    if number % 4 == 3:
        lead.append(choice.int(1, 3))
        axis = choice.pick([2, -1 - len(tail)])
    # Two classes, one of them ignored, may leave nothing.
    ignore = choice.pick([0, 255, -1] if classes > 2 else [255, -1]) if number % 3 else None
    labels = lead + tail
    if number % 4 == 1:
        labels = [lead[0], 1] + tail
    bottoms = {
        "score": choice.normal(lead + [classes] + tail, scale=2),
        "label": choice.labels(labels, classes, ignore),
    }
    loss_param = {"ignore_label": ignore, "normalization": NORMALIZATIONS[number % 5]}
    two = number % 5 == 2
    weight = choice.real(0.2, 3)
    # The softmax inside runs along the loss's axis, whatever its own says.
    softmax = choice.pick([0, 1]) if number % 8 == 3 else None
    fields = {
        "loss_param": loss_param if set(loss_param.values()) != {None} else [],
        "infogain_loss_param": {"axis": axis},
        "softmax_param": [] if softmax is None else {"axis": softmax},
        "loss_weight": [weight, 0] if two else weight,
    }
    tops = ["loss", "prob"] if two else ["loss"]
    if number % 2:
        return with_bottom(number, choice, bottoms, tops, classes, fields)
    fields["infogain_loss_param"]["source"] = "h.binaryproto"
    shape, legacy = [
        ([1, 1, classes, classes], True),
        ([classes, classes], False),
        ([classes * classes], False),
    ][number % 3]
    found = single(
        "InfogainLoss",
        number,
        choice,
        bottoms,
        tops,
        loss=True,
        no_grad=["label"],
        second=larger(bottoms) if number % 6 == 4 else None,
        **fields,
    )
    found["files"] = [
        {
            "name": "h.binaryproto",
            "kind": "blobproto",
            "legacy": legacy,
            "array": choice.uniform(shape, -0.2, 1),
        }
    ]
    return found


def with_bottom(number, choice, bottoms, tops, classes, fields):
    """The scores come from a Bias layer: BVLC Caffe refuses force_backward with a matrix."""
    bottoms = {
        "x": bottoms["score"],
        "label": bottoms["label"],
        "matrix": choice.uniform(
            [[classes, classes], [1, 1, classes, classes], [classes * classes]][number % 3], -0.2, 1
        ),
    }
    text = net(
        inputs({blob: array["shape"] for blob, array in bottoms.items()}),
        layer("Bias", ["x"], ["score"], name="bias", bias_param={"axis": 0, "num_axes": 2}),
        layer("InfogainLoss", ["score", "label", "matrix"], tops, **fields),
        force_backward=False,
    )
    steps = [{"op": "params", "array": choice.normal()}]
    steps += feed(bottoms) + [{"op": "forward"}, {"op": "backward"}]
    if number % 6 == 5:  # another matrix of the same shape
        steps += feed({"matrix": dict(bottoms["matrix"], seed=choice.seed())})
        steps += [{"op": "forward"}, {"op": "backward"}]
    return case(
        "InfogainLoss",
        number,
        text,
        steps,
        zero_ok={"diff/" + blob: "no gradient flows to this bottom" for blob in bottoms},
    )


TYPES = {
    "ContrastiveLoss": contrastive,
    "HingeLoss": hinge,
    "MultinomialLogisticLoss": multinomial,
    "InfogainLoss": infogain,
}
