"""Layers that move, join, select or compare without weights."""

from cases.make import layer, single


def random_shape(choice, axes=None, lo=1, hi=4):
    return [choice.int(lo, hi) for _ in range(axes or choice.int(2, 5))]


def concat(number, choice):
    shape = random_shape(choice)
    axis = choice.int(0, len(shape) - 1)
    count = 1 + number % 4
    bottoms, second = {}, {}
    for i in range(count):
        part = list(shape)
        part[axis] = choice.int(1, 3)
        bottoms[f"x{i}"] = choice.normal(part)
        part = [s + 1 for s in part]
        second[f"x{i}"] = choice.normal(part)
    param = {"axis": choice.pick([axis, axis - len(shape)])}
    if number % 5 == 0:
        param = {"concat_dim": axis}
    if axis == 1 and choice.yes():
        param = []
    return single(
        "Concat",
        number,
        choice,
        bottoms,
        ["y"],
        second=second if number % 2 else None,
        concat_param=param,
    )


def slice_(number, choice):
    shape = random_shape(choice)
    axis = choice.int(0, len(shape) - 1)
    count = choice.int(1, 4)
    param = {"axis": choice.pick([axis, axis - len(shape)])} if number % 5 else {"slice_dim": axis}
    if number % 2:
        points, total = [], 0
        for _ in range(count - 1):
            total += choice.int(1, 2)
            points.append(total)
        shape[axis] = total + choice.int(1, 3)
        param["slice_point"] = points
    else:
        shape[axis] = count * choice.int(1, 2)
    second = [s + 1 if i != axis else s for i, s in enumerate(shape)] if number % 3 == 0 else None
    return single(
        "Slice",
        number,
        choice,
        {"x": choice.normal(shape)},
        [f"y{i}" for i in range(count)],
        second={"x": choice.normal(second)} if second else None,
        slice_param=param,
    )


def split(number, choice):
    """Explicit Split layers, and the ones Caffe inserts for a blob with several readers."""
    shape = random_shape(choice)
    count = choice.int(1, 4)
    tops = [f"y{i}" for i in range(count)]
    body = None
    if number % 2:
        body = [
            layer("Power", ["x"], [top], name=top, power_param={"scale": choice.real(0.5, 2)})
            for top in tops
        ]
    second = {"x": choice.normal([s + 1 for s in shape])} if number % 3 == 0 else None
    return single(
        "Split", number, choice, {"x": choice.normal(shape)}, tops, body=body, second=second
    )


def eltwise(number, choice):
    shape = random_shape(choice)
    count = choice.int(2, 4)
    operation = ["SUM", "PROD", "MAX"][number % 3]
    param = {"operation": operation}
    if operation == "SUM" and choice.yes(0.7):
        param["coeff"] = [choice.real(-2, 2) for _ in range(count)]
    if operation == "PROD" and number % 2:
        param["stable_prod_grad"] = False
    # Ties decide who wins in MAX; the unstable product gradient divides, so no zeros there.
    make = choice.ties if operation == "MAX" and number % 2 else choice.normal
    if operation == "MAX":
        shape = [choice.int(2, 4)] + shape[1:] + [4]
    bottoms = {f"x{i}": make(shape) for i in range(count)}
    larger = [s + 1 for s in shape]
    second = {blob: make(larger) for blob in bottoms} if number % 4 == 1 else None
    zero_ok = (
        {"diff/" + b: "may lose everywhere to the other bottoms" for b in bottoms}
        if operation == "MAX" and count > 2
        else None
    )
    if number == 0:
        param = []
    return single(
        "Eltwise",
        number,
        choice,
        bottoms,
        ["y"],
        second=second,
        zero_ok=zero_ok,
        eltwise_param=param,
    )


def accuracy(number, choice):
    classes = choice.int(2, 4)
    lead, tail = [choice.int(8, 10)], [choice.int(2, 3) for _ in range(choice.int(0, 2))]
    axis = 1
    if number % 4 == 3:
        lead.append(2)
        axis = 2
    ignore = choice.pick([0, 255]) if number % 3 == 1 else None
    top_k = choice.int(1, classes) if number % 2 else None
    # Ties count as wrong; the first scores of each case are plain so that some are right.
    make = choice.normal if number % 4 < 2 else choice.ties
    bottoms = {
        "x": make(lead + [classes] + tail),
        "label": choice.labels(lead + tail, classes, ignore),
    }
    tops = ["accuracy", "per_class"] if number % 5 < 2 else ["accuracy"]
    param = {"axis": None if axis == 1 else axis, "ignore_label": ignore, "top_k": top_k}
    return single(
        "Accuracy",
        number,
        choice,
        bottoms,
        tops,
        backward=False,
        phase="TEST",
        accuracy_param=param if any(v is not None for v in param.values()) else [],
    )


def argmax(number, choice):
    shape = [choice.int(1, 3), choice.int(4, 5)] + [choice.int(1, 3) for _ in range(2)]
    param = {
        "out_max_val": True if number % 2 else None,
        "top_k": choice.int(1, 3) if number % 3 else None,
    }
    if number % 4 >= 2:
        axis = choice.pick([1, 1, -3])
        param["axis"] = axis
    make = choice.ties if number % 5 < 2 else choice.normal
    second = {"x": make([shape[0] + 1] + shape[1:])} if number % 3 == 0 else None
    return single(
        "ArgMax",
        number,
        choice,
        {"x": make(shape)},
        ["y"],
        backward=False,
        second=second,
        phase="TEST",
        argmax_param=param if any(param.values()) else [],
    )


def reshape(number, choice):
    shape = [choice.int(1, 3), 4, choice.int(2, 3), 2]
    params = [
        {"dim": [0, -1]},
        {"dim": [0, 2, 2, -1]},
        {"dim": [-1]},
        {"dim": [0, 0, -1]},
        {"dim": [2, 2], "axis": 1, "num_axes": 1},
        {"dim": [-1], "axis": 1},
        {"dim": [-1], "axis": 0, "num_axes": 2},
        {"dim": [1], "axis": 1, "num_axes": 0},
        {"dim": [0, 2, -1], "axis": 1},
        {"dim": [1, 1], "axis": -1, "num_axes": 0},
        {"dim": [2, -1], "axis": -2},
        {"dim": [0, 4, 0, -1]},
        {"dim": [0, -1, 1, 1]},
    ]
    param = dict(params[number % len(params)])
    param["shape"] = {"dim": param.pop("dim")}
    second = {"x": choice.normal([shape[0] + 1] + shape[1:])} if number >= len(params) else None
    return single(
        "Reshape",
        number,
        choice,
        {"x": choice.normal(shape)},
        ["y"],
        second=second,
        reshape_param=param,
    )


def flatten(number, choice):
    shape = random_shape(choice)
    axis = choice.int(0, len(shape) - 1)
    end = choice.int(axis, len(shape) - 1)
    param = {
        "axis": choice.pick([axis, axis - len(shape)]),
        "end_axis": choice.pick([end, end - len(shape)]),
    }
    second = {"x": choice.normal([s + 1 for s in shape])} if number % 2 else None
    return single(
        "Flatten",
        number,
        choice,
        {"x": choice.normal(shape)},
        ["y"],
        second=second,
        flatten_param=param if number % 4 else [],
    )


def silence(number, choice):
    """Nothing comes out, and the gradient is set to zero: here over a diff that was not zero."""
    shape = random_shape(choice)
    tops = [f"y{i}" for i in range(choice.int(1, 3))]
    body = [
        layer("Power", ["x"], [top], name=top, power_param={"scale": choice.real(0.5, 2)})
        for top in tops
    ]
    body.append(layer("Silence", tops, [], name="silence"))
    reasons = {"diff/" + blob: "Silence sends back zero" for blob in tops + ["x"]}
    return single(
        "Silence", number, choice, {"x": choice.normal(shape)}, tops, body=body, zero_ok=reasons
    )


TYPES = {
    "Concat": concat,
    "Slice": slice_,
    "Split": split,
    "Eltwise": eltwise,
    "Reshape": reshape,
    "Flatten": flatten,
    "Silence": silence,
    "Accuracy": accuracy,
    "ArgMax": argmax,
}
