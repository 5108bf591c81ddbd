"""Single convolutions: the native kernels against oneDNN's, channels last, one thread, in turns.
Where the kernel is 3x3 and the stride 1, Winograd's way too.

    python benchmarks/native_convolutions.py [--seconds 0.3] [words of the nets or shapes to take]

Gives GFLOP/s by the thread's own processor time, the least of many passes, with everything that the
convolution does between two maps: the weights are prepared beforehand in both.
"""

import argparse
import ctypes
import time

import torch

from caffe import native
from caffe.kernels.winograd import transform_weights

# net, images, channels, height and width, outputs, kernel, stride, pad, groups
SHAPES = [
    ("resnet50", 1, 3, 224, 64, 7, 2, 3, 1),
    ("resnet50", 1, 64, 56, 64, 1, 1, 0, 1),
    ("resnet50", 1, 64, 56, 64, 3, 1, 1, 1),
    ("resnet50", 1, 64, 56, 256, 1, 1, 0, 1),
    ("resnet50", 1, 256, 56, 64, 1, 1, 0, 1),
    ("resnet50", 1, 256, 56, 128, 1, 2, 0, 1),
    ("resnet50", 1, 256, 56, 512, 1, 2, 0, 1),
    ("resnet50", 1, 128, 28, 128, 3, 1, 1, 1),
    ("resnet50", 1, 128, 28, 512, 1, 1, 0, 1),
    ("resnet50", 1, 512, 28, 128, 1, 1, 0, 1),
    ("resnet50", 1, 512, 28, 256, 1, 2, 0, 1),
    ("resnet50", 1, 256, 14, 256, 3, 1, 1, 1),
    ("resnet50", 1, 256, 14, 1024, 1, 1, 0, 1),
    ("resnet50", 1, 1024, 14, 256, 1, 1, 0, 1),
    ("resnet50", 1, 1024, 14, 2048, 1, 2, 0, 1),
    ("resnet50", 1, 512, 7, 512, 3, 1, 1, 1),
    ("resnet50", 1, 512, 7, 2048, 1, 1, 0, 1),
    ("resnet50", 1, 2048, 7, 512, 1, 1, 0, 1),
    ("vgg16", 1, 3, 224, 64, 3, 1, 1, 1),
    ("vgg16", 1, 64, 224, 64, 3, 1, 1, 1),
    ("vgg16", 1, 128, 112, 128, 3, 1, 1, 1),
    ("vgg16", 1, 256, 56, 256, 3, 1, 1, 1),
    ("vgg16", 1, 512, 28, 512, 3, 1, 1, 1),
    ("vgg16", 1, 512, 14, 512, 3, 1, 1, 1),
    ("mobilenet", 1, 3, 224, 32, 3, 2, 1, 1),
    ("mobilenet", 1, 32, 112, 64, 1, 1, 0, 1),
    ("mobilenet", 1, 128, 56, 128, 1, 1, 0, 1),
    ("mobilenet", 1, 256, 28, 256, 1, 1, 0, 1),
    ("mobilenet", 1, 512, 14, 512, 1, 1, 0, 1),
    ("mobilenet", 1, 1024, 7, 1024, 1, 1, 0, 1),
    ("googlenet", 1, 64, 56, 192, 3, 1, 1, 1),
    ("googlenet", 1, 192, 28, 64, 1, 1, 0, 1),
    ("googlenet", 1, 192, 28, 16, 1, 1, 0, 1),
    ("googlenet", 1, 96, 28, 128, 3, 1, 1, 1),
    ("googlenet", 1, 16, 28, 32, 5, 1, 2, 1),
    ("googlenet", 1, 112, 14, 224, 3, 1, 1, 1),
    ("googlenet", 1, 832, 7, 384, 1, 1, 0, 1),
    ("squeezenet", 1, 3, 227, 64, 3, 2, 0, 1),
    ("squeezenet", 1, 64, 56, 16, 1, 1, 0, 1),
    ("squeezenet", 1, 16, 56, 64, 3, 1, 1, 1),
    ("squeezenet", 1, 48, 13, 192, 3, 1, 1, 1),
    ("squeezenet", 1, 512, 13, 1000, 1, 1, 0, 1),
    ("alexnet", 1, 3, 227, 96, 11, 4, 0, 1),
    ("alexnet", 1, 96, 27, 256, 5, 1, 2, 2),
    ("alexnet", 1, 384, 13, 256, 3, 1, 1, 2),
    ("resnext", 1, 128, 56, 128, 3, 1, 1, 32),
    ("lenet", 1, 1, 28, 20, 5, 1, 0, 1),
    ("lenet", 1, 20, 12, 50, 5, 1, 0, 1),
    ("lenet", 64, 1, 28, 20, 5, 1, 0, 1),
    ("lenet", 64, 20, 12, 50, 5, 1, 0, 1),
    ("cifar10", 100, 3, 32, 32, 5, 1, 2, 1),
    ("cifar10", 100, 32, 16, 32, 5, 1, 2, 1),
    ("cifar10", 100, 32, 8, 64, 5, 1, 2, 1),
]


class Map(ctypes.Structure):
    _fields_ = [
        ("at", ctypes.c_void_p),
        *((name, ctypes.c_int32) for name in "nhwc"),
        ("pixel", ctypes.c_int64),
    ]


def as_map(x):
    n, c, h, w = x.shape
    return ctypes.byref(Map(x.data_ptr(), n, h, w, c, c))


def timed(run, seconds):
    """Seconds of the thread's own time for one pass."""
    passes = 1
    while True:
        began = time.thread_time()
        for _ in range(passes):
            run()
        took = time.thread_time() - began
        if took > 1e-3 or took > seconds:
            return took / passes
        passes *= 2


def compare(shape, seconds):
    """GFLOP/s of the native kernels, the direct way and Winograd's (0 where there is none), and of
    oneDNN, counted as the direct way multiplies; the largest difference, our best microseconds."""
    _, n, c, size, outputs, kernel, stride, pad, groups = shape
    kernels = native.library()
    x = torch.randn(n, c, size, size).to(memory_format=torch.channels_last)
    weight = torch.randn(outputs, c // groups, kernel, kernel)
    found = torch.nn.functional.conv2d(x, weight, None, stride, pad, 1, groups)
    window = (ctypes.c_int32 * 9)(kernel, kernel, stride, stride, pad, pad, 1, 1, groups)
    ways = [("kernels_convolution", [window, ctypes.c_void_p(weight.data_ptr()), 0, None])]
    if (kernel, stride, pad, groups) == (3, 1, 1, 1):
        u = transform_weights(weight)
        ways.append(("kernels_winograd", [None, ctypes.c_void_p(u.data_ptr()), None]))
    kernels.kernels_new.restype = ctypes.c_void_p
    programs, results = [], []
    for name, given in ways:
        results.append(torch.empty_like(found, memory_format=torch.channels_last))
        programs.append(ctypes.c_void_p(kernels.kernels_new()))
        if getattr(kernels, name)(programs[-1], as_map(x), as_map(results[-1]), *given):
            raise SystemExit(f"the native kernels decline {shape}")

    def theirs():
        torch.ops.mkldnn._convolution_pointwise(
            x, prepared, None, (pad, pad), (stride, stride), (1, 1), groups, "none", [], ""
        )

    prepared = torch._C._nn.mkldnn_reorder_conv2d_weight(
        weight.to_mkldnn(), (pad, pad), (stride, stride), (1, 1), groups, list(x.shape)
    )
    runs = [theirs, *(lambda p=p: kernels.kernels_run(p, 1, None) for p in programs)]
    best = [float("inf")] * len(runs)
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        for i, run in enumerate(runs):
            best[i] = min(best[i], timed(run, seconds))
    work = 2 * found.numel() * weight[0].numel() / 1e9
    difference = max(((y - found).abs().max() / found.abs().max()).item() for y in results)
    for program in programs:
        kernels.kernels_free(program)
    speeds = [work / t for t in best] + [0]
    return speeds[1], speeds[2], speeds[0], difference, min(best[1:]) * 1e6


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*", help="only shapes with one of these words")
    parser.add_argument("--seconds", type=float, default=0.3, help="time for each shape")
    arguments = parser.parse_args()
    if not native.available():
        raise SystemExit(f"no native kernels: {native.why_not()}")
    torch.set_num_threads(1)
    print(f"{'net':11} {'images channels map outputs kernel':36} native Winograd oneDNN ratio  off")
    for shape in SHAPES:
        net, n, c, size, outputs, kernel, stride, _, groups = shape
        text = f"{n} x {c}, {size}x{size} -> {outputs}, {kernel}x{kernel}"
        text += f" /{stride}" * (stride > 1) + f" in {groups} groups" * (groups > 1)
        if arguments.words and not any(word in f"{net} {text}" for word in arguments.words):
            continue
        direct, other, theirs, off, micro = compare(shape, arguments.seconds)
        print(
            f"{net:11} {text:36} {direct:6.0f} {f'{other:.0f}' if other else '':>8} {theirs:6.0f}"
            f" {max(direct, other) / theirs:5.2f} {off:.0e} {micro:8.1f} µs",
            flush=True,
        )


if __name__ == "__main__":
    main()
