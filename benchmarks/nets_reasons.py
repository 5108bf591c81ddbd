"""Why the engine is behind a peer where it is: (net, job) -> a few words for the table.

nets_speed.py prints a reason only where the ratio is below 1.  What they rest on: the parts of a
pass that where_time_goes.py tells, and what was tried
(benchmarks/results/2026-11-27-where-time-goes.md).
"""

_KERNELS = "oneDNN's program is {} % of the pass: the peer's kernels are faster than its"
REASONS = {
    ("lenet", "forward"): "oneDNN's program is 56 % of the pass; Python and copies are the rest",
    ("cifar10-full", "forward"): "oneDNN's program is 69 % of the pass; Python and copies are the "
    "rest",
    ("lenet-64", "forward"): _KERNELS.format(91),
    ("squeezenet1.1", "forward"): _KERNELS.format(91),
    ("mobilenet1", "forward"): _KERNELS.format(95),
    ("mobilenet2", "forward"): _KERNELS.format(92),
    ("googlenet", "forward"): _KERNELS.format(98),
    ("resnet50", "forward"): _KERNELS.format(99),
    ("alexnet", "forward"): "half of the pass are fully connected layers, whose weights are not "
    "packed: the copies would take as much memory again",
    ("vgg16", "forward"): "the fully connected layers are not packed, for the memory",
    ("camvid-fcn8s", "forward"): "oneDNN's program is 78 % of the pass; upsampling runs outside",
    ("voc-fcn4s-lite0", "forward"): "oneDNN's programs are 60 % of the pass; upsampling runs "
    "outside",
}
