"""Twenty SGD steps of a small FCN with skips, from equal weights on equal data."""

from cases.make import case, feed, inputs, layer, net
from cases.solvers import solver_text

COUNT = 2
STEPS, EVERY = 20, 5
CLASSES, SIZE = 3, (13, 18)


def convolution(bottom, top, outputs, kernel, pad=0):
    multipliers = [{"lr_mult": 1, "decay_mult": 1}, {"lr_mult": 2, "decay_mult": 0}]
    return layer(
        "Convolution",
        [bottom],
        [top],
        name=top,
        param=multipliers,
        convolution_param={"num_output": outputs, "kernel_size": kernel, "pad": pad},
    )


def upscore(bottom, top):
    """Fixed bilinear interpolation by two, as FCN-8s and FCN-16s have it."""
    return layer(
        "Deconvolution",
        [bottom],
        [top],
        name=top,
        param={"lr_mult": 0},
        convolution_param={
            "num_output": CLASSES,
            "kernel_size": 4,
            "stride": 2,
            "group": CLASSES,
            "bias_term": False,
            "weight_filler": {"type": "bilinear"},
        },
    )


def crop(bottom, reference, top, offset):
    return layer(
        "Crop", [bottom, reference], [top], name=top, crop_param={"axis": 2, "offset": offset}
    )


def small_fcn():
    pool = {"pool": "MAX", "kernel_size": 2, "stride": 2}
    return net(
        inputs({"data": (1, 3) + SIZE, "label": (1, 1) + SIZE}),
        convolution("data", "conv1", 6, 3, pad=4),
        layer("ReLU", ["conv1"], ["conv1"], name="relu1"),
        layer("Pooling", ["conv1"], ["pool1"], name="pool1", pooling_param=pool),
        convolution("pool1", "conv2", 8, 3, pad=1),
        layer("ReLU", ["conv2"], ["conv2"], name="relu2"),
        layer("Pooling", ["conv2"], ["pool2"], name="pool2", pooling_param=pool),
        layer("Dropout", ["pool2"], ["pool2"], name="drop", dropout_param={"dropout_ratio": 0.2}),
        convolution("pool2", "score_fr", CLASSES, 1),
        upscore("score_fr", "upscore2"),
        convolution("pool1", "score_pool1", CLASSES, 1),
        crop("upscore2", "score_pool1", "upscore2c", 1),
        layer("Eltwise", ["upscore2c", "score_pool1"], ["fuse"], name="fuse"),
        upscore("fuse", "upscore"),
        crop("upscore", "data", "score", 4),
        layer(
            "SoftmaxWithLoss",
            ["score", "label"],
            ["loss"],
            name="loss",
            loss_param={"ignore_label": 255, "normalize": False},
        ),
        force_backward=False,
    )


def sgd(number, choice):
    """The reference's setting, unnormalised loss, high momentum; then a rate that falls."""
    policy = [
        {"lr_policy": "fixed", "base_lr": 0.0001},
        {"lr_policy": "poly", "power": 0.9, "base_lr": 0.002},
    ][number]
    solver = solver_text(
        policy,
        momentum=[0.99, 0.9][number],
        weight_decay=0.0005,
        max_iter=STEPS,
        clip_gradients=[None, 5][number],
    )
    steps = [
        {"op": "params", "layer": name, "array": choice.normal(scale=scale)}
        for name, scale in (("conv1", 0.3), ("conv2", 0.2), ("score_fr", 0.3), ("score_pool1", 0.3))
    ]
    for iteration in range(STEPS):
        steps += feed(
            {
                "data": choice.normal((1, 3) + SIZE),
                "label": choice.labels((1, 1) + SIZE, CLASSES, 255),
            }
        )
        steps.append({"op": "step", "count": 1, "quiet": (iteration + 1) % EVERY != 0})
    return case("solver 20 steps of an FCN", number, small_fcn(), steps, solver=solver)


TYPES = {"solver 20 steps of an FCN": sgd}
