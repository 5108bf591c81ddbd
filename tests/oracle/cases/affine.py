"""InnerProduct, Scale, Bias."""

from cases.make import single


def inner_product(number, choice):
    axes = choice.int(1, 4)
    lead = [choice.int(1, 3) for _ in range(axes)]
    axis = choice.int(0 if number % 5 == 0 else 1, axes)
    shape = lead[:axis] + [choice.int(1, 4) for _ in range(choice.int(1, 2))]
    param = {
        "num_output": choice.int(1, 5),
        "bias_term": False if number % 3 == 2 else None,
        "transpose": True if number % 4 == 3 else None,
    }
    if axis != 1 or choice.yes():
        param["axis"] = choice.pick([axis, axis - len(shape)])
    second = None
    if number % 2 and axis:
        second = {"x": choice.normal([shape[0] + 2] + shape[1:])}
    return single(
        "InnerProduct",
        number,
        choice,
        {"x": choice.normal(shape)},
        ["y"],
        second=second,
        params=choice.normal(),
        repeat=number % 4 == 0,
        inner_product_param=param,
    )


def span(choice, shape):
    """(axis, num_axes) of a part of the shape, as fields; the default is axis 1, one axis."""
    axis = choice.int(0, len(shape) - 1)
    count = choice.int(0, len(shape) - axis)
    return axis, count


def broadcast(kind, field, number, choice):
    """A learned or a given operand that is repeated over the other axes."""
    shape = [choice.int(2, 3)] + [choice.int(1, 4) for _ in range(choice.int(1, 4))]
    param = {}
    axis, count = span(choice, shape) if number % 3 else (1, 1)
    if number % 12 == 0:  # a batch of one: BVLC Caffe overwrites Scale's gradient here
        shape = [1, 3] + shape[2:]
    if number == 16:  # one value for each element: here, too
        axis, count = 0, len(shape)
    if number % 3:
        to_end = axis + count == len(shape) and choice.yes()
        param = {
            "axis": choice.pick([axis, axis - len(shape)]),
            "num_axes": -1 if to_end else count,
        }
    two = number % 4 == 3
    if two:
        param.pop("num_axes", None)  # given by the second bottom
        if count == 0 and "axis" not in param:
            param["axis"] = axis
    if kind == "Scale" and number % 2:
        param["bias_term"] = True
    bottoms = {"x": choice.normal(shape)}
    if two:
        bottoms["operand"] = choice.normal(shape[axis : axis + count])
    second = None
    if number % 5 == 1 and axis > 0 and not two:
        second = {"x": choice.normal([shape[0] + 1] + shape[1:])}
    # Scale in place is allowed; its gradient for a second bottom then needs the original.
    in_place = number % 6 == 2 and not two
    has_params = not two or param.get("bias_term")
    return single(
        kind,
        number,
        choice,
        bottoms,
        ["x" if in_place else "y"],
        second=second,
        params=choice.normal() if has_params else None,
        repeat=number % 4 == 0 and not in_place,
        **{field: param or []},
    )


def scale(number, choice):
    return broadcast("Scale", "scale_param", number, choice)


def bias(number, choice):
    return broadcast("Bias", "bias_param", number, choice)


TYPES = {"InnerProduct": inner_product, "Scale": scale, "Bias": bias}
