"""SoftmaxWithLoss, SigmoidCrossEntropyLoss, EuclideanLoss: value, normalisation, gradient."""

from cases.make import inputs, layer, net, single

NORMALIZATIONS = [None, "FULL", "VALID", "BATCH_SIZE", "NONE"]


def loss_param(number, choice, ignore):
    """normalization in all spellings, the old `normalize` among them."""
    param = {"ignore_label": ignore}
    if number % 7 == 6:
        param["normalize"] = choice.yes()
    else:
        param["normalization"] = NORMALIZATIONS[number % 5]
    return param if any(value is not None for value in param.values()) else []


def softmax_with_loss(number, choice):
    classes = choice.int(2, 5)
    lead, tail = [choice.int(2, 3)], [choice.int(1, 4) for _ in range(choice.int(0, 2))]
    axis = None
    if number % 4 == 3:
        lead.append(choice.int(1, 3))
        axis = choice.pick([2, -1 - len(tail)])
    ignore = choice.pick([0, 255, -1]) if number % 3 else None
    labels = lead + tail
    if number % 4 == 1:  # (N, 1, H, W), as data layers make them
        labels = [lead[0], 1] + tail
    bottoms = {
        "score": choice.normal(lead + [classes] + tail, scale=2),
        "label": choice.labels(labels, classes, ignore),
    }
    two = number % 5 == 2
    weight = choice.real(0.2, 3) if number % 2 else 1
    softmax = {"axis": axis} if axis is not None else []
    fields = {"softmax_param": softmax, "loss_param": loss_param(number, choice, ignore)}
    tops = ["loss", "prob"] if two else ["loss"]
    found = single(
        "SoftmaxWithLoss",
        number,
        choice,
        bottoms,
        tops,
        loss=True,
        no_grad=["label"],
        second=larger(bottoms) if number % 6 == 4 else None,
        loss_weight=[weight, 0] if two else weight,
        **fields,
    )
    if two:
        found["oracle_net"] = softmax_beside_loss(bottoms, weight, fields)
    return found


def softmax_beside_loss(bottoms, weight, fields):
    """Loss and probabilities from two layers.

    BVLC Caffe has a second top but aborts on it: the Softmax inside inherits both loss weights.
    """
    return net(
        inputs({blob: array["shape"] for blob, array in bottoms.items()}),
        layer("Softmax", ["score"], ["prob"], name="prob", softmax_param=fields["softmax_param"]),
        layer("SoftmaxWithLoss", bottoms, ["loss"], loss_weight=weight, **fields),
    )


def larger(bottoms):
    """The same bottoms with one more item and other numbers."""
    return {
        blob: dict(
            array, shape=[array["shape"][0] + 1] + array["shape"][1:], seed=array["seed"] + 1
        )
        for blob, array in bottoms.items()
    }


def sigmoid_cross_entropy(number, choice):
    shape = [choice.int(2, 4)] + [choice.int(2, 4) for _ in range(choice.int(0, 3))]
    ignore = choice.pick([-1, 255]) if number % 3 else None
    hard = ignore is not None
    target = choice.labels(shape, 2, ignore) if hard else choice.uniform(shape, 0, 1)
    bottoms = {"score": choice.normal(shape, scale=2), "target": target}
    return single(
        "SigmoidCrossEntropyLoss",
        number,
        choice,
        bottoms,
        ["loss"],
        loss=True,
        no_grad=["target"],
        second=larger(bottoms) if number % 4 == 2 else None,
        loss_weight=choice.real(0.2, 3) if number % 2 else None,
        loss_param=loss_param(number, choice, ignore),
    )


def euclidean(number, choice):
    shape = [choice.int(1, 4)] + [choice.int(1, 4) for _ in range(choice.int(1, 3))]
    # Only the counts must match; BVLC Caffe takes no more than four axes here.
    other = shape if number % 3 or len(shape) == 4 else [shape[0], 1] + shape[1:]
    bottoms = {"a": choice.normal(shape), "b": choice.normal(other)}
    return single(
        "EuclideanLoss",
        number,
        choice,
        bottoms,
        ["loss"],
        loss=True,
        second=larger(bottoms) if number % 4 == 2 else None,
        loss_weight=choice.real(0.2, 3) if number % 2 else None,
    )


TYPES = {
    "SoftmaxWithLoss": softmax_with_loss,
    "SigmoidCrossEntropyLoss": sigmoid_cross_entropy,
    "EuclideanLoss": euclidean,
}
