"""LSTM and RNN over several forward passes, and LSTMUnit, one step of an LSTM."""

from cases.make import case, feed, inputs, layer, net, single

NO_GRADIENT = "no gradient flows to this bottom"
STATES = {"LSTM": ["h0", "c0"], "RNN": ["h0"]}


def indicators(choice, steps, streams, number):
    """cont: mostly whole sequences; now and then random, or numbers that are neither 0 nor 1.

    One stream goes on at its last step, so that something always depends on the state.
    """
    kind = number % 4
    rows = []
    for t in range(steps):
        if kind == 0:
            rows.append([1.0] * streams)
        elif kind == 1:
            rows.append([float(t > 0)] * streams)
        elif kind == 2:
            rows.append([float(choice.yes(0.6)) for _ in range(streams)])
        else:
            rows.append([choice.real(0, 1.5) if choice.yes() else 1.0 for _ in range(streams)])
    rows[-1][0] = 1.0
    values = [value for row in rows for value in row]
    return {"kind": "values", "shape": [steps, streams], "values": values}


def recurrent(kind):
    """Passes one after the other: the state goes on, is reset by cont, and survives another N."""

    def generate(number, choice):
        steps = 1 if number % 6 == 4 else choice.int(2, 5)
        hidden = choice.int(1, 4)
        tail = [choice.int(1, 4) for _ in range(1 if number % 3 else 2)]
        static = [choice.int(1, 3)] + [2] * (number % 2) if number % 5 in (1, 2) else None
        exposed = STATES[kind] if number % 8 in (2, 5, 7) else []

        def bottoms(streams):
            found = {
                "x": choice.normal([steps, streams] + tail),
                "cont": indicators(choice, steps, streams, number),
            }
            if static:
                found["xs"] = choice.normal([streams] + static)
            found.update((name, choice.normal([1, streams, hidden])) for name in exposed)
            return found

        weights = {"type": "uniform", "min": -1, "max": 1}
        fields = {
            "num_output": hidden,
            "weight_filler": weights,
            "bias_filler": {"type": "gaussian", "std": 0.5},
            "expose_hidden": True if exposed else None,
            "debug_info": True if number % 9 == 8 else None,
        }
        streams = [choice.int(2, 4)] * 3
        if number % 7 in (3, 5):  # fewer, then more than before
            streams = [3, 2, 3] if number % 7 == 3 else [2, 5, 4]
        tops = ["y"] + [name[0] + "T" for name in exposed]
        first = bottoms(streams[0])
        layers = [layer(kind, list(first), tops, recurrent_param=fields)]
        if number % 12 == 4:  # with one time step the top of an LSTM is the state itself
            layers.append(
                layer("ReLU", ["y"], ["y"], name="relu", relu_param={"negative_slope": 0.3})
            )
        text = net(inputs({blob: array["shape"] for blob, array in first.items()}), *layers)
        seeded = number % 4 == 3
        filled = (
            {"op": "record", "what": "params"}
            if seeded
            else {"op": "params", "array": choice.normal(scale=0.7)}
        )
        run = [filled]
        for i, count in enumerate(streams):
            run += feed(first if i == 0 else bottoms(count)) + [{"op": "forward"}]
            if steps == 1 or number % 10 == 9:  # another pass on the same inputs
                run.append({"op": "forward"})
            if number % 6 == 4 and i == 1:
                run += [
                    {"op": "data", "blob": "y", "array": choice.normal([1, count, hidden])},
                    {"op": "forward"},
                ]
            if number % 11 == 10:  # backward works on the weights of its own time
                run.append({"op": "params", "array": choice.normal(scale=0.5)})
            run += [{"op": "diff", "blob": top, "array": choice.normal()} for top in tops]
            run += [{"op": "backward"}] * (2 if number % 5 == 4 else 1)
        found = case(
            kind,
            number,
            text,
            run,
            phase="TEST" if number % 5 == 3 else "TRAIN",
            seed=choice.int(1, 10**6) if seeded else None,
        )
        found["zero_ok"] = {"diff/" + blob: NO_GRADIENT for blob in ["cont"] + exposed}
        return found

    return generate


def lstm_unit(number, choice):
    streams, hidden = choice.int(1, 4), choice.int(1, 4)

    def bottoms(n):
        return {
            "c_prev": choice.normal([1, n, hidden]),
            "gates": choice.normal([1, n, 4 * hidden], scale=2),
            "cont": indicators(choice, 1, n, number),
        }

    return single(
        "LSTMUnit",
        number,
        choice,
        bottoms(streams),
        ["c", "h"],
        no_grad=["cont"],
        second=bottoms(streams + 1) if number % 3 == 2 else None,
        repeat=number % 5 == 4,
    )


TYPES = {"LSTM": recurrent("LSTM"), "RNN": recurrent("RNN"), "LSTMUnit": lstm_unit}
