"""Functions of each element by itself that have no weights, in place where that is allowed."""

from cases.activation import elementwise


def abs_val(number, choice):
    make = choice.ties if number % 3 == 0 else choice.normal  # ties: exact zeros
    shape = [2, 3, 4] if make == choice.ties else None  # a single element could be zero
    return elementwise("AbsVal", number, choice, make, shape, in_place=False)


def bnll(number, choice):
    def wide(shape):  # beyond 50 Caffe takes another way, beyond 88 exp overflows
        return choice.normal(shape, scale=[1, 5, 60][number % 3])

    return elementwise("BNLL", number, choice, wide, in_place=number % 4 == 3)


def clip(number, choice):
    low = choice.real(-1.5, 0.5)
    param = {"min": low, "max": low + choice.real(0.5, 2)}
    make, shape, zero_ok = choice.normal, [2, 3, 4], {}
    if number % 3 == 0:  # exact ends
        param, make = {"min": -1, "max": choice.pick([0, 1, 2])}, choice.ties
    if number == 11:
        param = {"min": 1, "max": -1}
        zero_ok["diff/x"] = "nothing is both at least 1 and at most -1"
    if number == 17:

        def make(_):
            values = [float("nan"), float("inf"), -float("inf"), 0.25]
            return {"kind": "values", "shape": [1, 4], "values": values}

        shape = [1, 4]
    found = elementwise(
        "Clip",
        number,
        choice,
        make,
        shape,
        zero_ok=zero_ok,
        in_place=number % 4 == 2,
        clip_param=param,
    )
    if number == 17:  # the same four values again would not have the shape of a second pass
        found["steps"] = found["steps"][:4]
    return found


def elu(number, choice):
    make = choice.ties if number % 4 == 0 else choice.normal
    shape = [2, 3, 4] if make == choice.ties else None
    alpha = [None, choice.real(0.1, 2), choice.real(-1, -0.1)][number % 3 if number % 5 else 1]
    param = {"alpha": alpha} if alpha is not None else []
    return elementwise("ELU", number, choice, make, shape, elu_param=param)


def swish(number, choice):
    beta = choice.pick([choice.real(0.1, 3), choice.real(-2, -0.1)]) if number % 4 else None
    return elementwise(
        "Swish", number, choice, swish_param={"beta": beta} if beta is not None else []
    )


def numbers(choice, number):
    """base, scale and shift, each left out now and then."""
    base = [None, 2, 10, choice.real(0.2, 0.9), choice.real(1.2, 4)][number % 5]
    return {
        "base": base,
        "scale": choice.real(0.3, 1.5) if number % 3 else None,
        "shift": choice.real(0.2, 1.5) if number % 4 else None,
    }


def exp(number, choice):
    param, zero_ok = numbers(choice, number), {}
    if number == 7:
        param["base"] = 1
        zero_ok["diff/x"] = "1 to any power is constant"
    if number % 8 == 6:
        param["scale"], param["shift"] = -param["scale"] if param["scale"] else -1, -0.5
    return elementwise(
        "Exp",
        number,
        choice,
        zero_ok=zero_ok,
        exp_param=param if any(v is not None for v in param.values()) else [],
    )


def log(number, choice):
    """Arguments stay positive and away from 0, also where the output stands for the input."""
    in_place = number % 3 == 1
    param = numbers(choice, number)
    if in_place:
        param.update(base=choice.pick([None, 10, 3]), shift=choice.real(2, 3))

    def positive(shape):
        return choice.uniform(shape, 0.3, 2)

    return elementwise(
        "Log",
        number,
        choice,
        positive,
        in_place=in_place,
        log_param=param if any(v is not None for v in param.values()) else [],
    )


def threshold(number, choice):
    make = choice.ties if number % 3 == 0 else choice.normal  # ties: equal to the threshold
    value = choice.pick([0, 1, -1]) if number % 3 == 0 else choice.real(-0.8, 0.8)
    return elementwise(
        "Threshold",
        number,
        choice,
        make,
        [2, choice.int(4, 6), 4],
        backward=False,
        threshold_param={"threshold": value} if number % 4 else [],
    )


TYPES = {
    "AbsVal": abs_val,
    "BNLL": bnll,
    "Clip": clip,
    "ELU": elu,
    "Exp": exp,
    "Log": log,
    "Swish": swish,
    "Threshold": threshold,
}
