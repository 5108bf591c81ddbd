"""Pooling: MAX and AVE, global, both ways of rounding, ties, the second top of MAX."""

from cases.make import single


def parameters(number, choice):
    param = {"pool": choice.pick(["MAX", "AVE"]) if number else None}
    if number % 6 == 5:
        param["global_pooling"] = True
        return param
    kernel, stride = choice.int(1, 4), choice.int(1, 4)
    if number % 4 == 2:
        param.update(
            kernel_h=kernel, kernel_w=choice.int(2, 3), stride_h=stride, stride_w=choice.int(1, 2)
        )
        if kernel > 1:
            param.update(pad_h=choice.int(0, kernel - 1), pad_w=1)
    else:
        param.update(kernel_size=kernel, stride=stride if stride > 1 else None)
        if kernel > 1 and choice.yes(0.6):
            param["pad"] = choice.int(1, kernel - 1)
    if number % 5 == 3:
        param["round_mode"] = choice.pick(["FLOOR", "CEIL"])
    return param


def pooling(number, choice):
    if number in SPECIAL:
        shape, param = SPECIAL[number]
        second = None
    else:
        param = parameters(number, choice)
        low = 4  # at least one kernel fits, also with round_mode FLOOR
        shape = [choice.int(1, 2), choice.int(1, 3), choice.int(low, 8), choice.int(low, 8)]
        second = [shape[0], shape[1], shape[2] + 1, shape[3] + 2] if number % 2 else None
    make = choice.ties if number % 3 == 0 and shape[2] > 1 else choice.normal
    two = number % 4 == 1 and param.get("pool") != "AVE"
    tops = ["y", "mask"] if two else ["y"]
    bottoms = {"x": make(shape)}
    backward = not reaches_outside(param, shape) and not (second and reaches_outside(param, second))
    return single(
        "Pooling",
        number,
        choice,
        bottoms,
        tops,
        backward=backward,
        second={"x": make(second)} if second else None,
        pooling_param=param,
    )


# Sizes where the rounding, the clip of the last window or the divisor matter.
SPECIAL = {
    8: ([1, 2, 5, 5], {"pool": "MAX", "kernel_size": 2, "stride": 2}),  # ceil: 3, floor: 2
    9: ([1, 2, 5, 4], {"pool": "AVE", "kernel_size": 3, "stride": 2, "pad": 1}),
    10: ([1, 1, 4, 4], {"pool": "AVE", "kernel_size": 2, "stride": 3, "pad": 1}),  # clipped
    12: ([1, 1, 1, 1], {"pool": "MAX", "kernel_size": 1}),
    13: ([2, 1, 4, 4], {"pool": "MAX", "kernel_size": 3, "stride": 5}),  # last window outside
    14: ([2, 1, 4, 4], {"pool": "AVE", "kernel_size": 3, "stride": 5}),
    15: ([1, 2, 6, 6], {"pool": "MAX", "kernel_size": 3, "stride": 1}),  # overlap, with ties
    16: ([2, 3, 7, 5], {"pool": "MAX", "kernel_size": 3, "stride": 2, "round_mode": "FLOOR"}),
    18: ([1, 2, 4, 6], {"pool": "MAX", "kernel_size": 2, "stride": 2}),  # FCN's, with ties
    25: ([2, 2, 5, 7], {"pool": "AVE", "kernel_size": 1, "stride": 3}),  # a window of -1 cells
}


def reaches_outside(param, shape):
    """True if the last window of MAX pooling holds no pixel at all.

    Its maximum then has index −1, and BVLC Caffe's backward writes outside its memory: such a case
    compares forward only.
    """
    if param.get("pool") == "AVE" or param.get("global_pooling"):
        return False
    for axis, extent in (("_h", shape[2]), ("_w", shape[3])):
        kernel = param.get("kernel_size") or param["kernel" + axis]
        stride = param.get("stride") or param.get("stride" + axis) or 1
        pad = param.get("pad") or param.get("pad" + axis) or 0
        room = extent + 2 * pad - kernel
        count = (room if param.get("round_mode") == "FLOOR" else room + stride - 1) // stride + 1
        if any(param.get("pad" + suffix) for suffix in ("", "_h", "_w")):
            count -= (count - 1) * stride >= extent + pad
        if (count - 1) * stride - pad >= extent:
            return True
    return False


TYPES = {"Pooling": pooling}
