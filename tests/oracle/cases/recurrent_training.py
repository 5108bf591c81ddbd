"""Twenty steps of training recurrent nets to say which symbol came before, from BVLC's fillers."""

from cases.make import case, feed, inputs, layer, net
from cases.solvers import solver_text

COUNT = 2
STEPS, EVERY = 20, 5
RATES = {"LSTM": [3, 1], "RNN": [0.5, 0.2]}
TIME, STREAMS, SYMBOLS, HIDDEN = 6, 4, 3, 8


def echo(choice):
    """Random symbols, one-hot; the label of a step is the symbol of the step before."""
    symbols = [[choice.int(0, SYMBOLS - 1) for _ in range(STREAMS)] for _ in range(TIME)]
    x = [float(s == k) for row in symbols for s in row for k in range(SYMBOLS)]
    label = [255] * STREAMS + [s for row in symbols[:-1] for s in row]
    cont = [float(t > 0) for t in range(TIME) for _ in range(STREAMS)]
    return {
        blob: {"kind": "values", "shape": shape, "values": values}
        for blob, shape, values in (
            ("x", [TIME, STREAMS, SYMBOLS], x),
            ("cont", [TIME, STREAMS], cont),
            ("label", [TIME, STREAMS], label),
        )
    }


def training(title, kind):
    def generate(number, choice):
        fill = {"type": "uniform", "min": -0.3, "max": 0.3}
        bottoms = echo(choice)
        text = net(
            inputs({blob: array["shape"] for blob, array in bottoms.items()}),
            layer(
                kind,
                ["x", "cont"],
                ["y"],
                name="recurrent",
                recurrent_param={
                    "num_output": HIDDEN,
                    "weight_filler": fill,
                    "bias_filler": {"type": "constant", "value": 0.1},
                },
            ),
            layer(
                "InnerProduct",
                ["y"],
                ["score"],
                name="score",
                inner_product_param={"num_output": SYMBOLS, "axis": 2, "weight_filler": fill},
            ),
            layer(
                "SoftmaxWithLoss",
                ["score", "label"],
                ["loss"],
                name="loss",
                softmax_param={"axis": 2},
                loss_param={"ignore_label": 255},
            ),
            force_backward=False,
        )
        solver = solver_text(
            {"lr_policy": "fixed", "base_lr": RATES[kind][number]},
            momentum=0.9,
            max_iter=STEPS,
            clip_gradients=[None, 1][number],
        )
        some = [{"op": "step", "count": EVERY}, {"op": "record", "what": "blobs"}]
        run = feed(bottoms) + some * (STEPS // EVERY)
        return case(title, number, text, run, solver=solver, seed=choice.int(1, 10**6))

    return generate


TITLES = {"solver 20 steps of an LSTM": "LSTM", "solver 20 steps of an RNN": "RNN"}
TYPES = {title: training(title, kind) for title, kind in TITLES.items()}
