"""Layers over regions of a blob: copies, sums, normalisation, pyramids and windows."""

from cases.make import single
from cases.pooling import reaches_outside


def random_shape(choice, least=1, most=5, lo=1, hi=4):
    return [choice.int(lo, hi) for _ in range(choice.int(least, most))]


def larger(choice, number, make, shape):
    """Every other case passes a second time, in another shape."""
    return {"x": make([n + choice.int(0, 2) for n in shape])} if number % 2 else None


def tile(number, choice):
    shape = random_shape(choice, least=2)
    axis = choice.int(0, len(shape) - 1) if number % 4 else 1
    param = {
        "tiles": choice.int(1, 4),
        "axis": choice.pick([axis, axis - len(shape)]) if number % 4 else None,
    }
    return single(
        "Tile",
        number,
        choice,
        {"x": choice.normal(shape)},
        ["y"],
        tile_param=param,
        second=larger(choice, number, choice.normal, shape),
    )


def reduction(number, choice):
    shape = random_shape(choice, lo=2)
    axis = choice.pick([0, choice.int(0, len(shape) - 1)])
    operation = [None, "SUM", "ASUM", "SUMSQ", "MEAN"][number % 5]
    param = {
        "operation": operation,
        "axis": choice.pick([axis, axis - len(shape)]) or None,
        "coeff": choice.real(-2, 2) if number % 3 else None,
    }
    # Exact zeros, where the sign is 0.
    make = choice.ties if operation == "ASUM" and number % 2 == 0 else choice.normal
    return single(
        "Reduction",
        number,
        choice,
        {"x": make(shape)},
        ["y"],
        second=larger(choice, number, make, shape),
        reduction_param=param if any(v is not None for v in param.values()) else [],
    )


def mvn(number, choice):
    """Up to four axes; at least four numbers for each mean, or what is left is rounding noise."""
    across = number % 3 == 2
    shape = [choice.int(1, 3), choice.int(1, 3), choice.int(2, 4), choice.int(2, 4)]
    zero_ok = {}
    if number % 7 == 3:  # three axes
        shape = [choice.int(1, 3), choice.int(1, 3), choice.int(4, 6)]
    if number % 7 == 5:  # no image: only all channels together have a variance
        shape, across = [choice.int(1, 3), choice.int(4, 6)], True
    if number == 13:
        shape, across = [2, 4], False
        zero_ok = dict.fromkeys(("data/y", "diff/x"), "a number less itself")
    param = {
        "across_channels": True if across else None,
        "normalize_variance": False if number % 4 == 3 else None,
        "eps": choice.real(0.01, 0.5) if number % 5 == 1 else None,
    }

    def make(shape):
        return choice.normal(shape, scale=choice.real(0.5, 3), shift=choice.real(-1, 1))

    return single(
        "MVN",
        number,
        choice,
        {"x": make(shape)},
        ["x" if number % 5 == 4 else "y"],
        zero_ok=zero_ok,
        second=larger(choice, number, make, shape),
        mvn_param=param if any(v is not None for v in param.values()) else [],
    )


def spp(number, choice):
    """Sizes of which every level fits: Caffe refuses a pad as large as the window."""
    height = 1 + number % 3
    pool = choice.pick([None, "MAX", "AVE"])
    make = choice.ties if number % 4 == 0 else choice.normal
    first, second = (fitting(choice, height, pool) for _ in range(2))
    lead = [choice.int(1, 2), choice.int(1, 3)]
    return single(
        "SPP",
        number,
        choice,
        {"x": make(lead + first)},
        ["y"],
        second={"x": make(lead + second)} if number % 2 else None,
        spp_param={"pyramid_height": height, "pool": pool},
    )


def fitting(choice, height, pool):
    while True:
        size = [choice.int(1, 11), choice.int(1, 11)]
        if all(level_fits(size, level, pool) for level in range(height)):
            return size


def level_fits(size, level, pool):
    bins = 2**level
    kernel = [-(-n // bins) for n in size]
    pad = [(k * bins - n + 1) // 2 for k, n in zip(kernel, size)]
    param = {
        "pool": pool or "MAX",
        "kernel_h": kernel[0],
        "kernel_w": kernel[1],
        "stride_h": kernel[0],
        "stride_w": kernel[1],
        "pad_h": pad[0],
        "pad_w": pad[1],
    }
    return all(p < k for p, k in zip(pad, kernel)) and not reaches_outside(param, [1, 1, *size])


def im2col(number, choice):
    axes = [2, 1, 2, 3, 2, 2][number % 6]
    axis = 2 if number % 7 == 6 else 1
    sizes = {
        "kernel_size": [choice.int(1, 3) for _ in range(axes)],
        "stride": [choice.int(1, 3) for _ in range(axes)],
        "pad": [choice.int(0, 2) for _ in range(axes)],
        "dilation": [choice.int(1, 2) for _ in range(axes)],
    }
    param = {field: values if number % 3 else values[:1] for field, values in sizes.items()}
    if number % 5 == 4 and axes == 2:
        (param["kernel_h"], param["kernel_w"]) = (choice.int(1, 3), 2)
        (param["stride_h"], param["stride_w"]) = (1, choice.int(1, 2))
        (param["pad_h"], param["pad_w"]) = (choice.int(0, 1), 0)
        for field in ("kernel_size", "stride", "pad"):
            del param[field]
    if number % 4 == 1:
        param["force_nd_im2col"] = True
    if number % 9 == 8:  # left at their defaults
        param = {"kernel_size": 2}
    if axis != 1:
        param["axis"] = choice.pick([axis, -1 - axes])
    shape = [choice.int(1, 2) for _ in range(axis)] + [choice.int(1, 3)]
    shape += [choice.int(5, 7) for _ in range(axes)]
    if number == 10:  # a kernel larger than the bottom: one place, zeros beyond
        shape, param = [2, 2, 2, 3], {"kernel_size": 3, "stride": 2}
    return single(
        "Im2col",
        number,
        choice,
        {"x": choice.normal(shape)},
        ["y"],
        second=second_of(choice, number, shape, axis),
        convolution_param=param,
    )


def second_of(choice, number, shape, axis):
    if not number % 2:
        return None
    keep = range(axis, axis + 1)  # the channels
    return {"x": choice.normal([n if i in keep else n + 1 for i, n in enumerate(shape)])}


TYPES = {"Tile": tile, "Reduction": reduction, "MVN": mvn, "SPP": spp, "Im2col": im2col}
