"""Why the engine is behind a peer where it is: kind of native kernels -> (net, job) -> a few words
for the table.

nets_speed.py prints a reason only where the ratio is below 1.  What they rest on, with what was
tried: benchmarks/results/2026-11-27-where-time-goes.md and -training-steps.md.
"""

MEMORY = {
    ("alexnet", "forward"): "the fully connected layers read their weights as fast as memory gives "
    "them",
}
TILES = {
    ("lenet-64", "step"): "20 and 50 channels fill tiles badly: oneDNN computes the second "
    "convolution's gradients",
    **dict.fromkeys(
        [
            (net, "forward")
            for net in ("squeezenet1.1", "mobilenet1", "mobilenet2", "googlenet", "resnet50")
            + ("vgg16", "voc-fcn4s-lite0", "camvid-fcn8s")
        ],
        "ahead in other runs: tiles lose more than vectors where another machine shares the core",
    ),
    **dict.fromkeys(
        [(net, "step") for net in ("squeezenet1.1", "resnet50", "camvid-fcn8s")],
        "ahead in other runs; single passes differ by a fifth",
    ),
}
VECTORS = {
    **dict.fromkeys(
        [(net, "forward") for net in ("mobilenet1", "mobilenet2")],
        "pointwise convolutions take most of the time, in all programs near the processor's peak",
    ),
    ("lenet-64", "step"): "oneDNN computes the second convolution, in both programs",
    **dict.fromkeys(
        [(net, "bf16") for net in ("mobilenet1", "mobilenet2", "resnet50")],
        "the native kernels have no products in bfloat16 here",
    ),
}
#: By what native.kind() says.
REASONS = {"amx": {**MEMORY, **TILES}, "avx512": {**MEMORY, **VECTORS}}
