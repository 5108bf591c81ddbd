"""BatchNorm, LRN, Softmax."""

from cases.make import single


def batch_norm(number, choice):
    axes = choice.pick([4, 4, 2, 3, 5])
    shape = [choice.int(2, 4), choice.int(1, 3)] + [choice.int(1, 3) for _ in range(axes - 2)]
    shape[0] += 2 if axes == 2 else 0
    use_global = {3: True, 7: False}.get(number % 8)
    phase = "TEST" if number % 4 in (2, 3) else "TRAIN"
    param = {
        "eps": choice.pick([None, 0.01]),
        "use_global_stats": use_global,
        "moving_average_fraction": choice.pick([None, 0.9]),
    }
    second = {"x": choice.normal([shape[0] + 1] + shape[1:], scale=2, shift=1)}
    statistics = {f"param_diff/layer/{i}": "statistics have no gradient" for i in range(3)}
    # A quarter of the cases begins with the zero statistics of a new net.
    fresh = number % 4 == 1
    return single(
        "BatchNorm",
        number,
        choice,
        {"x": choice.normal(shape, scale=1.5, shift=0.5)},
        ["x" if number % 5 == 4 else "y"],
        phase=phase,
        record=True,
        second=second,
        params=None if fresh else choice.uniform(None, 0.5, 1.5),
        zero_ok=statistics,
        batch_norm_param={k: v for k, v in param.items() if v is not None} or [],
    )


def lrn(number, choice):
    shape = [choice.int(1, 2), choice.int(1, 7), choice.int(1, 5), choice.int(1, 5)]
    param = {
        "local_size": choice.pick([1, 3, 5]),
        "alpha": choice.real(0.1, 2),
        "beta": choice.real(0.3, 1),
        "k": choice.pick([None, 2, choice.real(0.5, 2)]),
    }
    if number % 2:
        param["norm_region"] = "WITHIN_CHANNEL"
    if number in (0, 1):
        param = {"norm_region": param.get("norm_region")}  # the defaults
    second = {"x": choice.normal([2, shape[1], shape[2] + 1, shape[3] + 2])} if number % 3 else None
    return single(
        "LRN",
        number,
        choice,
        {"x": choice.normal(shape)},
        ["y"],
        second=second,
        phase=choice.pick(["TRAIN", "TEST"]),
        lrn_param=param,
    )


def softmax(number, choice):
    shape = [choice.int(2, 3) for _ in range(choice.int(2, 5))]
    axis = choice.int(-len(shape), len(shape) - 1) if number % 3 else None
    second = {"x": choice.normal([s + 1 for s in shape])} if number % 2 else None
    return single(
        "Softmax",
        number,
        choice,
        {"x": choice.normal(shape, scale=3)},
        ["x" if number % 4 == 2 else "y"],
        second=second,
        softmax_param={"axis": axis} if axis is not None else [],
    )


TYPES = {"BatchNorm": batch_norm, "LRN": lrn, "Softmax": softmax}
