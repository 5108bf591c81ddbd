"""Fillers: the same seed must give the same numbers, in layer order, weights before bias."""

from cases.make import case, inputs, layer, net


def filled(kind, number, filler, choice):
    """A net of two layers whose parameters are the result: Convolution then InnerProduct."""
    least = filler.get("sparse", 1)  # the share of values kept is sparse / num_output
    first = {
        "num_output": choice.int(least, least + 3),
        "kernel_size": choice.int(1, 3),
        "weight_filler": filler,
        "bias_filler": {"type": "uniform", "min": -1, "max": 1},
    }
    second = {
        "num_output": choice.int(least, least + 4),
        "weight_filler": filler,
        "bias_filler": {"type": "gaussian", "std": 0.5},
    }
    body = [
        layer("Convolution", ["x"], ["y"], name="conv", convolution_param=first),
        layer("InnerProduct", ["y"], ["z"], name="ip", inner_product_param=second),
    ]
    shape = [1, choice.int(1, 4), 3, 3]
    steps = [{"op": "record", "what": "params"}]
    return case(
        "filler " + kind,
        number,
        net(inputs({"x": shape}), *body),
        steps,
        seed=choice.int(0, 2**31 - 1),
    )


def constant(number, choice):
    return filled("constant", number, {"type": "constant", "value": choice.real(0.1, 3)}, choice)


def uniform(number, choice):
    bounds = {"min": choice.real(-3, 0), "max": choice.real(0, 3)} if number % 3 else {}
    return filled("uniform", number, dict({"type": "uniform"}, **bounds), choice)


def gaussian(number, choice):
    fields = {"type": "gaussian", "mean": choice.real(-1, 1), "std": choice.real(0.01, 2)}
    if number % 3 == 2:
        fields["sparse"] = choice.int(2, 3)
        fields["mean"] = 1  # whatever is kept is visible
    return filled("gaussian", number, fields if number else {"type": "gaussian"}, choice)


def scaled(kind):
    def make(number, choice):
        variance = [None, "FAN_IN", "FAN_OUT", "AVERAGE"][number % 4]
        return filled(kind, number, {"type": kind, "variance_norm": variance}, choice)

    return make


def positive_unitball(number, choice):
    return filled("positive_unitball", number, {"type": "positive_unitball"}, choice)


def bilinear(number, choice):
    """Square kernels of both parities, grouped as for upsampling."""
    channels = choice.int(1, 3)
    param = {
        "num_output": channels,
        "group": channels if number % 2 else None,
        "kernel_size": 1 + number % 8,
        "stride": choice.int(1, 3),
        "bias_term": False,
        "weight_filler": {"type": "bilinear"},
    }
    body = layer("Deconvolution", ["x"], ["y"], name="up", convolution_param=param)
    steps = [{"op": "record", "what": "params"}]
    return case(
        "filler bilinear", number, net(inputs({"x": [1, channels, 2, 2]}), body), steps, seed=number
    )


TYPES = {
    "filler constant": constant,
    "filler uniform": uniform,
    "filler gaussian": gaussian,
    "filler xavier": scaled("xavier"),
    "filler msra": scaled("msra"),
    "filler positive_unitball": positive_unitball,
    "filler bilinear": bilinear,
}
