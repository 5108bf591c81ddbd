"""Time the operators that FCN-8s and EfficientNet-Lite spend a GPU's time in, one by one.

    python benchmarks/gpu_operators.py

Prints medians in milliseconds: convolutions in three precisions and two memory layouts, with bias
and ReLU apart and in one call, and their three gradients; pooling; upsampling in three ways;
depthwise convolutions. What `caffe.kernels.device` takes by rule of thumb rests on it.
"""

import sys

import torch
import torch.nn.functional as F

aten = torch.ops.aten
NCHW, NHWC = torch.contiguous_format, torch.channels_last
LAYOUTS = {NCHW: "nchw", NHWC: "nhwc"}
MODES = (("fp32", NCHW), ("fp32", NHWC), ("tf32", NHWC), ("tf32", NCHW), ("bf16", NHWC))
# FCN-8s at 500x500. name: channels in, channels out, size, kernel, pad
LAYERS = {
    "conv1_1": (3, 64, 500, 3, 100),
    "conv1_2": (64, 64, 698, 3, 1),
    "conv2_2": (128, 128, 349, 3, 1),
    "conv3_2": (256, 256, 175, 3, 1),
    "conv4_2": (512, 512, 88, 3, 1),
    "conv5_2": (512, 512, 44, 3, 1),
    "fc6": (512, 4096, 22, 7, 0),
    "fc7": (4096, 4096, 16, 1, 0),
}
# EfficientNet-Lite0 on crops of 384: channels, size, kernel, stride
DEPTHWISE = ((32, 192, 3, 1), (96, 192, 3, 2), (144, 96, 5, 2), (480, 24, 5, 1), (1152, 12, 5, 1))


def milliseconds(operator, *arguments, times=12):
    """The median of some calls by the device's clock; NaN where the operator refuses."""
    try:
        for _ in range(3):
            operator(*arguments)
        marks = [torch.cuda.Event(enable_timing=True) for _ in range(times + 1)]
        marks[0].record()
        for mark in marks[1:]:
            operator(*arguments)
            mark.record()
        torch.cuda.synchronize()
    except RuntimeError:
        return float("nan")
    return sorted(a.elapsed_time(b) for a, b in zip(marks, marks[1:]))[times // 2]


def tensor(shape, mode="fp32", layout=NCHW):
    dtype = torch.bfloat16 if mode == "bf16" else torch.float32
    return torch.randn(shape, device="cuda", dtype=dtype).contiguous(memory_format=layout)


def show(*columns):
    text = (f"{c:.3f}" if isinstance(c, float) else str(c) for c in columns)
    print(*text, flush=True)


def gradients(dy, x, w, stride, pad, groups):
    """Times of the gradients of x, the weights and the bias."""
    settings = [stride] * 2, [pad] * 2, [1, 1], False, [0, 0], groups
    for mask in ([True, False, False], [False, True, False], [False, False, True]):
        yield milliseconds(aten.convolution_backward, dy, x, w, [len(w)], *settings, mask)


def with_relu(*arguments):
    return torch.convolution(*arguments).relu_()


def convolutions():
    show("layer precision layout: bias+ReLU apart, without both, in one call; dx, dw, db")
    for name, (channels, outputs, size, kernel, pad) in LAYERS.items():
        for mode, layout in MODES:
            torch.backends.cudnn.allow_tf32 = mode == "tf32"
            x = tensor((1, channels, size, size), mode, layout)
            w = tensor((outputs, channels, kernel, kernel), mode, layout)
            b = tensor((outputs,), mode)
            args = [1, 1], [pad, pad], [1, 1]
            dy = torch.randn_like(F.conv2d(x, w, b, padding=pad))
            rest = *args, False, [0, 0], 1
            forward = (
                milliseconds(with_relu, x, w, b, *rest),
                milliseconds(torch.convolution, x, w, None, *rest),
                milliseconds(torch.cudnn_convolution_relu, x, w, b, *args, 1),
            )
            show(name, mode, LAYOUTS[layout], *forward, *gradients(dy, x, w, 1, pad, 1))


def pooling():
    show("64 channels of 698x698: max pooling, its gradient, ReLU's gradient, sum over positions")
    args = [2, 2], [2, 2], [0, 0], [1, 1], True
    for mode, layout in (("fp32", NCHW), ("fp32", NHWC), ("bf16", NHWC)):
        x = tensor((1, 64, 698, 698), mode, layout)
        y, index = aten.max_pool2d_with_indices(x, *args)
        show(
            mode,
            LAYOUTS[layout],
            milliseconds(aten.max_pool2d_with_indices, x, *args),
            milliseconds(aten.max_pool2d_with_indices_backward, y, x, *args, index),
            milliseconds(aten.threshold_backward, x, x, 0.0),
            milliseconds(torch.sum, x, (0, 2, 3)),
        )


def upsampling():
    x, dense, own = tensor((1, 21, 70, 70)), tensor((21, 21, 16, 16)), tensor((21, 1, 16, 16))
    a = tensor((568, 70))

    def products():
        wide = torch.mm(x.reshape(-1, 70), a.t()).view(21, 70, 568)
        return torch.bmm(a.expand(21, 568, 70), wide)

    runs = (
        lambda: F.conv_transpose2d(x, dense, stride=8),
        lambda: F.conv_transpose2d(x, own, stride=8, groups=21),
        products,
    )
    show("upscore8: dense, one group a channel, two products:", *map(milliseconds, runs))


def depthwise():
    show("depthwise, batch 16: channels size kernel stride precision layout: forward, dx, dw, db")
    for channels, size, kernel, stride in DEPTHWISE:
        for mode in ("fp32", "bf16"):
            for layout in (NCHW, NHWC):
                x = tensor((16, channels, size, size), mode, layout)
                w, pad = tensor((channels, 1, kernel, kernel), mode), kernel // 2
                settings = [stride] * 2, [pad] * 2, [1, 1], False, [0, 0], channels
                dy = torch.randn_like(torch.convolution(x, w, None, *settings))
                forward = milliseconds(torch.convolution, x, w, None, *settings)
                times = gradients(dy, x, w, stride, pad, channels)
                show(channels, size, kernel, stride, mode, LAYOUTS[layout], forward, *times)


def main():
    if not torch.cuda.is_available():
        sys.exit("this needs an NVIDIA GPU: PyTorch sees none")
    print(torch.cuda.get_device_name(0), "torch", torch.__version__)
    torch.backends.cudnn.benchmark = True
    convolutions()
    pooling()
    upsampling()
    depthwise()


if __name__ == "__main__":
    main()
