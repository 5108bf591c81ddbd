"""Input, DummyData and Python layers."""

from cases.make import case, dims, feed, layer, net, single


def shape_of(choice):
    return [choice.int(1, 4) for _ in range(choice.int(1, 5))]


def input_(number, choice):
    """Input keeps what is written into it; one shape serves all tops, or each has its own."""
    tops = ["a", "b", "c"][: choice.int(1, 3)]
    shapes = [shape_of(choice) for _ in tops]
    if number % 2:
        shapes = [shapes[0]] * len(tops)
    given = [dims(s) for s in (shapes[:1] if number % 2 else shapes)]
    body = [layer("Input", [], tops, name="input", input_param={"shape": given})]
    body += [
        layer("Power", [top], [top + "_y"], name=top, power_param={"scale": 2}) for top in tops
    ]
    arrays = {top: choice.normal(shape) for top, shape in zip(tops, shapes)}
    if number % 3 == 2:  # a size other than the prototxt's
        arrays[tops[0]] = choice.normal([s + 1 for s in shapes[0]])
    record = {"op": "record", "what": "blobs"}
    steps = feed(arrays) + [{"op": "forward"}, record, {"op": "forward"}, record]
    return case("Input", number, net(*body), steps)


def filler_fields(choice, number):
    return [
        {"type": "constant", "value": choice.real(0.1, 3)},
        {"type": "uniform", "min": choice.real(-2, 0), "max": choice.real(0.5, 2)},
        {"type": "gaussian", "mean": choice.real(-1, 1), "std": choice.real(0.1, 2)},
        {"type": "xavier"},
    ][number % 4]


def dummy_data(number, choice):
    """Random fillers draw anew at every forward, constant ones fill once."""
    tops = ["a", "b"][: choice.int(1, 2)]
    fillers = [filler_fields(choice, number + i) for i in range(len(tops))]
    if number % 3 == 0:
        fillers = fillers[:1]
    param = {"data_filler": fillers}
    if number % 4 == 1:
        size = [choice.int(1, 4) for _ in range(4)]
        param.update(zip(("num", "channels", "height", "width"), size))
    else:
        count = 1 if number % 2 else len(tops)
        param["shape"] = [dims([choice.int(1, 3), choice.int(1, 4), 2, 2]) for _ in range(count)]
    zero_ok = None
    if number == 20:
        del param["data_filler"]
        zero_ok = {"data/" + top: "no filler is constant 0" for top in tops}
    body = [layer("DummyData", [], tops, name="dummy", dummy_data_param=param)]
    if number == 20:
        body.append(layer("Power", tops[:1], ["shifted"], name="shifted", power_param={"shift": 1}))
    steps = [
        {"op": "forward"},
        {"op": "forward"},
        {"op": "seed", "value": number},
        {"op": "forward"},
    ]
    return case(
        "DummyData",
        number,
        net(*body, force_backward=False),
        steps,
        seed=number + 1,
        zero_ok=zero_ok,
    )


PYTHON_LAYERS = ["Affine", "Affine", "Weighted", "Mixer", "Penalty"]


def python(number, choice):
    """Layers of python_layers.py: param_str, own parameters, several bottoms and tops, a loss."""
    name = PYTHON_LAYERS[number % 5]
    shape = [choice.int(1, 3), choice.int(2, 4)] + [choice.int(1, 3)] * choice.int(0, 2)
    bottoms = {"x": choice.normal(shape)}
    tops = ["y"]
    param = {"module": "python_layers", "layer": name}
    if name == "Affine":
        param["param_str"] = repr({"scale": choice.real(-2, 2), "shift": choice.real(-2, 2)})
    if name == "Mixer":
        bottoms["x2"] = choice.normal(shape)
        tops = ["y", "y2"]
    if name == "Penalty":
        bottoms["x2"] = choice.normal(shape)
    second = {blob: choice.normal([shape[0] + 1] + shape[1:]) for blob in bottoms}
    return single(
        "Python",
        number,
        choice,
        bottoms,
        tops,
        loss=name == "Penalty",
        loss_weight=choice.real(0.3, 2) if name == "Penalty" else None,
        params=choice.normal() if name == "Weighted" else None,
        second=second if number % 2 else None,
        repeat=number % 4 == 0,
        python_param=param,
    )


TYPES = {"Input": input_, "DummyData": dummy_data, "Python": python}
