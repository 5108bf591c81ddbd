"""Element-wise activations, in place and not."""

from cases.make import layer, single


def shape_of(number, choice, most=5):
    """Two to four or five axes; every fifth case is a single element per item."""
    axes = choice.int(2, most)
    largest = 1 if number % 5 == 4 else 4
    return [choice.int(1, 3)] + [choice.int(1, largest) for _ in range(axes - 1)]


def elementwise(kind, number, choice, make=None, shape=None, in_place=None, **fields):
    make = make or choice.normal
    shape = shape or shape_of(number, choice)
    in_place = number % 3 == 1 if in_place is None else in_place
    second = {"x": make([shape[0] + 1] + shape[1:])} if number % 2 else None
    return single(
        kind,
        number,
        choice,
        {"x": make(shape)},
        ["x" if in_place else "y"],
        second=second,
        **fields,
    )


def relu(number, choice):
    slope = choice.real(0.05, 0.6) if number % 3 == 2 else None
    make = choice.ties if number % 4 == 0 else choice.normal  # ties: exact zeros
    # With one element, or few integers, everything could be clipped to zero.
    shape = [2, 3, 4] if number % 5 == 4 or make == choice.ties else None
    return elementwise(
        "ReLU", number, choice, make, shape, relu_param={"negative_slope": slope} if slope else []
    )


def prelu(number, choice):
    shared = number % 4 == 3
    param = {"channel_shared": True} if shared else []

    def make(shape):  # mostly negative: a single positive element has no gradient for the slope
        return choice.normal(shape, shift=-1 if number % 5 == 4 or number == 27 else 0)

    return elementwise(
        "PReLU",
        number,
        choice,
        make,
        prelu_param=param,
        shape=shape_of(number, choice, most=4),  # BVLC Caffe's limit
        params=choice.normal(scale=0.4) if number % 5 else None,
    )


def sigmoid(number, choice):
    return elementwise("Sigmoid", number, choice)


def tanh(number, choice):
    return elementwise("TanH", number, choice)


def dropout(number, choice):
    """In TRAIN the seed decides the mask, so the masks must be the same."""
    ratio = choice.real(0.1, 0.7)
    return elementwise(
        "Dropout",
        number,
        choice,
        shape=[2, 4, 3, choice.int(1, 3)],
        seed=1 + number,
        phase="TEST" if number % 4 == 3 else "TRAIN",
        dropout_param={"dropout_ratio": ratio} if number % 5 else [],
    )


def power(number, choice):
    """Bases stay positive unless the power is 1 or 2: elsewhere Caffe's gradient can be NaN."""
    param = {"scale": choice.real(0.2, 2), "shift": choice.real(0.5, 2)}
    kind = number % 5
    power_value = [1, 2, choice.real(-2, 3), 0.5, 0][kind]
    param["power"] = power_value
    if kind == 1 and choice.yes():
        param["shift"] = 0
    zero_ok = {}
    if kind == 4 or number == 6:
        if number == 6:
            param["scale"] = 0
        zero_ok["diff/x"] = "scale·power = 0 makes the output constant"

    def positive(shape):
        return choice.uniform(shape, 0.1, 2)

    make = choice.normal if kind in (0, 1, 4) else positive
    return elementwise(
        "Power", number, choice, make, in_place=False, power_param=param, zero_ok=zero_ok
    )


def in_place_chain(kind):
    """A convolution followed by the activation in place, as models have it."""

    def make(number, choice):
        body = [
            layer(
                "Convolution",
                ["x"],
                ["y"],
                name="conv",
                convolution_param={"num_output": 2, "kernel_size": 2},
            ),
            layer(kind, ["y"], ["y"], name="act"),
        ]
        return single(
            kind + " after Convolution",
            number,
            choice,
            {"x": choice.normal([1, 2, 4, choice.int(3, 5)])},
            ["y"],
            body=body,
            params=choice.normal(),
            seed=1 + number,
            repeat=number % 2 == 0,
        )

    return make


TYPES = {
    "ReLU": relu,
    "PReLU": prelu,
    "Sigmoid": sigmoid,
    "TanH": tanh,
    "Dropout": dropout,
    "Power": power,
}
for _kind in ("ReLU", "Dropout"):
    TYPES[_kind + " after Convolution"] = in_place_chain(_kind)
