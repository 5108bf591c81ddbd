"""Items chosen by other blobs, and learned blobs: BatchReindex, Filter, Embed, Parameter.

BVLC Caffe aborts where it is asked for the gradient of an index or a selector, which
force_backward does. So these nets are without it: each blob with a gradient comes out of a Bias
layer, whose weight makes the net run backward, and the tops have loss weights.
"""

from cases.make import case, feed, inputs, layer, net, single


def without_force(
    kind,
    number,
    choice,
    moved,
    read,
    tops,
    second=None,
    params=None,
    repeat=False,
    seed=None,
    **fields,
):
    """One layer on bottoms `moved`, which get gradients, and `read`, which get none.

    The arrays of `second` are for a second pass, in other shapes.
    """
    layers, renamed, zero_ok = [], {}, {}
    for blob in moved:
        renamed[blob] = blob + "_given"
        layers.append(
            layer(
                "Bias",
                [renamed[blob]],
                [blob],
                name=blob + "_bias",
                bias_param={"axis": 0, "num_axes": 0},
            )
        )
        zero_ok["diff/" + renamed[blob]] = "nothing below needs it"
    for blob in read:
        zero_ok["diff/" + blob] = "an index has no gradient"
    layers.append(layer(kind, [*moved, *read], tops, loss_weight=[1] * len(tops), **fields))

    def given(arrays):
        return {renamed.get(blob, blob): array for blob, array in arrays.items()}

    first = given({**moved, **read})
    steps = [{"op": "params", "array": params or choice.normal()}] if seed is None else []
    for arrays in [first] + ([given(second)] if second else []):
        steps += feed(arrays) + [{"op": "forward"}]
        for top in tops:
            steps.append({"op": "diff", "blob": top, "array": choice.normal()})
        steps += [{"op": "backward"}] * (2 if repeat else 1)
    text = net(
        inputs({blob: array["shape"] for blob, array in first.items()}),
        *layers,
        force_backward=False,
    )
    return case(kind, number, text, steps, zero_ok=zero_ok, seed=seed)


def tail(choice, most=3):
    return [choice.int(1, 4) for _ in range(choice.int(0, most))]


def batch_reindex(number, choice):
    """Items repeated, left out and in any order; indices with a fraction are cut."""
    rest = tail(choice)

    def arrays(items, picks):
        index = choice.labels([picks], items)
        if number % 4 == 3:
            index = choice.uniform([picks], 0, items - 0.01)
        return {"x": choice.normal([items, *rest]), "index": index}

    first = arrays(choice.int(1, 5), choice.int(1, 7))
    second = arrays(choice.int(2, 6), choice.int(1, 8)) if number % 2 else None
    return without_force(
        "BatchReindex",
        number,
        choice,
        {"x": first["x"]},
        {"index": first["index"]},
        ["y"],
        second,
        repeat=number % 5 == 2,
    )


def filter_(number, choice):
    """One to three bottoms of different shapes; anything but 0 selects."""
    rests = [tail(choice) for _ in range(choice.int(1, 3))]
    shape = [[], [1], [1, 1, 1]][number % 3]

    def arrays(items):
        marks = [choice.pick([0, 1, 0.25, -2] if number % 2 else [0, 1]) for _ in range(items)]
        if not any(marks):  # nothing to compare, and BVLC Caffe divides by zero in backward
            marks[choice.int(0, items - 1)] = 1
        found = {f"x{i}": choice.normal([items, *rest]) for i, rest in enumerate(rests)}
        found["selector"] = {"kind": "values", "shape": [items, *shape], "values": marks}
        return found

    first = arrays(choice.int(1, 7))
    second = arrays(choice.int(2, 8)) if number % 2 else None
    selector = {"selector": first.pop("selector")}
    return without_force(
        "Filter", number, choice, first, selector, [f"y{i}" for i in range(len(rests))], second
    )


def embed(number, choice):
    """Indices in blobs of zero to three further axes, often repeated; with and without a bias."""
    rows = choice.int(1, 6)
    rest = tail(choice)
    param = {
        "num_output": choice.int(1, 5),
        "input_dim": rows,
        "bias_term": False if number % 3 == 1 else None,
    }

    def index(items):
        if number % 5 == 4:  # fractions are cut
            return choice.uniform([items, *rest], -0.9, rows - 0.01)
        return choice.labels([items, *rest], rows)

    seed = None
    if number % 6 == 5:
        param["weight_filler"] = {"type": "uniform", "min": -1}
        param["bias_filler"] = {"type": "constant", "value": choice.real(0.1, 1)}
        seed = 1 + number
    second = {"x": index(choice.int(2, 5))} if number % 2 else None
    return without_force(
        "Embed",
        number,
        choice,
        {},
        {"x": index(choice.int(1, 5))},
        ["y"],
        second,
        repeat=number % 4 == 2,
        seed=seed,
        embed_param=param,
    )


def parameter(number, choice):
    """A learned blob alone, scaled, added, shared by name or read twice.

    Backward runs twice: the second gradient replaces the first, where others would add it.
    """
    shape = [choice.int(1, 4) for _ in range(choice.int(0 if number % 6 == 0 else 1, 4))]
    learned = layer(
        "Parameter", [], ["p"], name="learned", parameter_param={"shape": {"dim": shape}}
    )
    way = number % 6
    if way == 0:
        found = single(
            "Parameter",
            number,
            choice,
            {},
            ["p"],
            body=[learned],
            params=choice.normal(),
            repeat=True,
        )
        return found
    bottoms, second = {"x": choice.normal(shape)}, None
    body = [learned]
    if way == 1:
        body.append(
            layer(
                "Eltwise",
                ["x", "p"],
                ["y"],
                eltwise_param={"operation": choice.pick(["SUM", "PROD"])},
            )
        )
    elif way in (2, 3):  # a scale or a bias: the batch may grow, the parameter stays
        bottoms = {"x": choice.normal([2, *shape])}
        second = {"x": choice.normal([3, *shape])}
        body.append(layer("Scale" if way == 2 else "Bias", ["x", "p"], ["y"]))
    elif way == 4:  # two readers: the gradients of both add up, in one pass
        body.append(
            layer("Eltwise", ["x", "p"], ["half"], name="half", eltwise_param={"operation": "PROD"})
        )
        body.append(layer("Eltwise", ["half", "p"], ["y"]))
    else:  # two layers, one parameter: the last to run backward has the gradient
        body[0] = layer(
            "Parameter",
            [],
            ["p"],
            name="learned",
            param={"name": "w"},
            parameter_param={"shape": {"dim": shape}},
        )
        body.append(
            layer(
                "Parameter",
                [],
                ["q"],
                name="again",
                param={"name": "w"},
                parameter_param={"shape": {"dim": shape}},
            )
        )
        body.append(
            layer(
                "Eltwise",
                ["p", "x", "q"],
                ["y"],
                eltwise_param={"operation": "SUM", "coeff": [1, 2, 3]},
            )
        )
    return single(
        "Parameter",
        number,
        choice,
        bottoms,
        ["y"],
        body=body,
        second=second,
        params=choice.normal(),
        repeat=True,
    )


TYPES = {"BatchReindex": batch_reindex, "Filter": filter_, "Embed": embed, "Parameter": parameter}
