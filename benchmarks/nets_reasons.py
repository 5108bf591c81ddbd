"""Why the engine is behind a peer where it is: (net, job) -> a few words for the table.

nets_speed.py prints a reason only where the ratio is below 1.  What they rest on, with what was
tried: benchmarks/results/2026-11-27-where-time-goes.md and -training-steps.md.
"""

REASONS = {
    ("lenet", "forward"): "0.14 ms in oneDNN, and as much again in Python and copies",
    ("lenet-64", "forward"): "oneDNN's kernels are 91 % of the pass",
    ("cifar10-full", "forward"): "oneDNN's program alone takes as long as the peer; Python and "
    "copies come on top",
    ("squeezenet1.1", "forward"): "convolutions run at the processor's peak; Concats, poolings and "
    "what PyTorch does between 38 partitions come on top",
    ("mobilenet1", "forward"): "oneDNN's program is 95 % of the pass; kernels for it alone, called "
    "by hand, take as long",
    ("mobilenet2", "forward"): "oneDNN's kernels take the peer's time; what PyTorch does between "
    "38 partitions comes on top",
    ("googlenet", "forward"): "LRN, poolings and Concats between the convolutions take a fifth",
    ("resnet50", "forward"): "oneDNN's program is 99 % of the pass; its kernels take longer than "
    "the peer's",
    ("alexnet", "forward"): "the fully connected layers read their weights as fast as memory gives "
    "them; packed copies would take as much memory again",
    ("vgg16", "forward"): "the fully connected layers read their weights as fast as memory gives "
    "them; packed copies would take as much memory again",
    ("camvid-fcn8s", "forward"): "upsampling, outside oneDNN's program, takes a fifth",
    ("voc-fcn4s-lite0", "forward"): "oneDNN's programs are 60 % of the pass; upsampling and copies "
    "are the rest",
    ("lenet", "step"): "Python between small operators, which BVLC does without",
    **dict.fromkeys(
        [(net, "step") for net in ("squeezenet1.1", "resnet50", "camvid-fcn8s")],
        "level on one thread in another run, beside other work; not found here",
    ),
}
