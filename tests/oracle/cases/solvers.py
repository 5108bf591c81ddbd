"""Trajectories: the parameters after each of some steps from equal weights."""

from cases.make import case, dims, feed, inputs, layer, net, text

POLICIES = [
    {"lr_policy": "fixed"},
    {"lr_policy": "step", "gamma": 0.5, "stepsize": 3},
    {"lr_policy": "exp", "gamma": 0.9},
    {"lr_policy": "inv", "gamma": 0.1, "power": 0.75},
    {"lr_policy": "multistep", "gamma": 0.3, "stepvalue": [2, 5]},
    {"lr_policy": "poly", "power": 0.9},
    {"lr_policy": "sigmoid", "gamma": 0.4, "stepsize": 4},
]
STEPS = 8


def training_net(choice, mults=None):
    """A small FCN: convolution, ReLU, a strided convolution, upsampling, softmax loss with void."""
    mults = mults or [{}, {}]
    params = [dict(m) or None for m in mults]
    conv = {"num_output": 3, "kernel_size": 3, "pad": 1}
    down = {"num_output": 3, "kernel_size": 2, "stride": 2}
    up = {"num_output": 3, "kernel_size": 2, "stride": 2, "bias_term": False}
    return net(
        layer("Convolution", ["x"], ["a"], name="conv", param=params, convolution_param=conv),
        layer("ReLU", ["a"], ["a"], name="relu"),
        layer("Convolution", ["a"], ["b"], name="down", param=params, convolution_param=down),
        layer("Deconvolution", ["b"], ["score"], name="up", convolution_param=up),
        layer(
            "SoftmaxWithLoss",
            ["score", "label"],
            ["loss"],
            name="loss",
            loss_param={"ignore_label": 255, "normalize": choice.yes()},
        ),
        force_backward=False,
    )


def solver_text(policy, **fields):
    base = {
        "base_lr": 0.05,
        "momentum": 0.9,
        "max_iter": 10,
        "display": 0,
        "random_seed": 3,
        "snapshot_prefix": "snap",
        "snapshot_after_train": False,
        "solver_mode": "CPU",
    }
    base.update(policy)
    base.update(fields)
    return text({key: value for key, value in base.items() if value is not None})


def trajectory(kind, number, choice, policy, mults=None, record_lr=True, **fields):
    shape = [1, 2, 4, 4]
    text_of_net = training_net(choice, mults).replace(
        "layer {", inputs({"x": shape, "label": [1, 1, 4, 4]}) + "layer {", 1
    )
    steps = [{"op": "params", "array": choice.normal(scale=0.5)}]
    for _ in range(STEPS):
        steps += feed({"x": choice.normal(shape), "label": choice.labels([1, 1, 4, 4], 3, 255)})
        steps += [{"op": "step", "count": 1}]
        if record_lr:
            steps.append({"op": "record", "what": "lr"})
    return case(kind, number, text_of_net, steps, solver=solver_text(policy, **fields))


def lr_policy(number, choice):
    return trajectory(
        "solver lr_policy",
        number,
        choice,
        POLICIES[number % len(POLICIES)],
        momentum=0.9 if number < 7 else None,
    )


def clip(number, choice):
    """Small limits, so that clipping happens; with iter_size the raw sum is what is clipped."""
    return trajectory(
        "solver clip_gradients",
        number,
        choice,
        POLICIES[0],
        clip_gradients=choice.real(0.05, 0.5),
        iter_size=choice.pick([None, 2, 3]),
        weight_decay=choice.pick([None, 0.1]),
    )


def decay(number, choice):
    mults = [
        {"lr_mult": choice.pick([0, 1, 2, 0.5]), "decay_mult": choice.pick([0, 1, 2])}
        for _ in range(2)
    ]
    if number % 2:
        mults = [{"lr_mult": 1, "decay_mult": 1}, {"lr_mult": 2, "decay_mult": 0}]
    return trajectory(
        "solver weight_decay",
        number,
        choice,
        POLICIES[0],
        mults=mults,
        weight_decay=choice.real(0.01, 0.3),
        regularization_type=choice.pick([None, "L1", "L2"]),
    )


def iter_size(number, choice):
    """Data drawn anew at every pass, so that the passes of one step differ."""
    fillers = [{"type": "uniform", "min": -1, "max": 1}, {"type": "gaussian", "std": 0.5}]
    dummy = {"shape": [dims([2, 3]), dims([2, 2])], "data_filler": fillers}
    body = [
        layer("DummyData", [], ["x", "t"], name="data", dummy_data_param=dummy),
        layer("InnerProduct", ["x"], ["y"], name="ip", inner_product_param={"num_output": 2}),
        layer("EuclideanLoss", ["y", "t"], ["loss"], name="loss"),
    ]
    solver = solver_text(
        POLICIES[number % 5],
        random_seed=number,
        iter_size=choice.int(2, 4),
        weight_decay=choice.pick([None, 0.1]),
    )
    steps = [{"op": "params", "array": choice.normal()}] + [{"op": "step", "count": 1}] * STEPS
    return case("solver iter_size", number, net(*body, force_backward=False), steps, solver=solver)


def momentum_change(number, choice):
    """The history holds the rate: after a drop of the rate old gradients count as before."""
    return trajectory(
        "solver momentum",
        number,
        choice,
        {"lr_policy": "multistep", "gamma": 0.1, "stepvalue": [3, 4]},
        momentum=choice.real(0.5, 0.95),
        record_lr=False,
    )


def restore(number, choice):
    made = trajectory(
        "solver snapshot",
        number,
        choice,
        POLICIES[number % len(POLICIES)],
        record_lr=False,
        weight_decay=0.05,
    )
    half = len(made["steps"]) // 2
    step = {"op": "snapshot_restore", "prefix": "snap"}
    while made["steps"][half]["op"] != "data":
        half += 1
    made["steps"].insert(half, step)
    return made


def update_rule(number, choice):
    """The six rules; AdaGrad and RMSProp take no momentum."""
    kind = ["SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam"][number % 6]
    fields = {"type": kind, "momentum": choice.real(0.5, 0.95), "weight_decay": 0.01}
    if kind in ("AdaGrad", "RMSProp"):
        fields["momentum"] = 0
    if kind == "RMSProp":
        fields["rms_decay"] = choice.real(0.5, 0.99)
    if kind == "AdaDelta":
        fields["base_lr"] = 1
    # The default, 1e-8, would make a step of a rounding error where a gradient is nearly zero.
    fields["delta"] = 1e-3
    return trajectory("solver type", number, choice, POLICIES[number % 5], **fields)


TYPES = {
    "solver type": update_rule,
    "solver lr_policy": lr_policy,
    "solver clip_gradients": clip,
    "solver weight_decay": decay,
    "solver iter_size": iter_size,
    "solver momentum": momentum_change,
    "solver snapshot": restore,
}
