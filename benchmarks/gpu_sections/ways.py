"""Every way to a convolution that the engine chooses among, against float64, and its time; and two
ways to an update."""

import math

import torch

import caffe
from caffe.kernels import device as convolutions
from caffe.kernels import tuning
from caffe.kernels.device import Settings
from caffe.solver import fused_sgd
from gpu_sections.machine import Machine, has, relative_error

#: name -> N, C, H, W, outputs, kernel, stride, pad, dilation, groups: FCN's, ResNet's, MobileNet's;
#: AlexNet's, GoogLeNet's and LeNet's kernels of 5.
CASES = {
    "conv1_1": (1, 3, 230, 230, 64, 3, 1, 1, 1, 1),
    "conv4": (1, 256, 44, 44, 512, 3, 1, 1, 1, 1),
    "fc6": (1, 512, 22, 22, 1024, 7, 1, 0, 1, 1),
    "fc7, a product": (1, 1024, 16, 16, 1024, 1, 1, 0, 1, 1),
    "score, a product": (1, 1024, 16, 16, 21, 1, 1, 0, 1, 1),
    "pointwise, batch 4": (4, 64, 28, 28, 256, 1, 1, 0, 1, 1),
    "a stride": (2, 64, 29, 31, 128, 3, 2, 1, 1, 1),
    "a dilation": (1, 256, 24, 24, 512, 3, 1, 2, 2, 1),
    "groups": (2, 96, 27, 27, 256, 5, 1, 2, 1, 2),
    "by channel": (2, 96, 28, 28, 96, 3, 1, 1, 1, 96),
    "5×5": (1, 256, 31, 31, 256, 5, 1, 2, 1, 1),
    "5×5, batch 32": (32, 20, 12, 12, 50, 5, 1, 0, 1, 1),
    "5×5, batch 16": (16, 96, 27, 27, 256, 5, 1, 2, 1, 2),
    "5×5, a stride": (2, 64, 33, 31, 128, 5, 2, 2, 1, 1),
    "4×4": (2, 64, 32, 30, 128, 4, 1, 1, 1, 1),
    "6×6": (2, 64, 32, 30, 128, 6, 1, 2, 1, 1),
    "1×1, a stride": (2, 64, 32, 30, 128, 1, 2, 0, 1, 1),
    "7×7, a stride": (2, 3, 224, 224, 64, 7, 2, 3, 1, 1),
    "11×11, a stride": (2, 3, 227, 227, 96, 11, 4, 0, 1, 1),
    "32 groups": (2, 128, 28, 28, 128, 3, 1, 1, 1, 32),
}
#: The same for transposed ones: FCN's and U-Net's; with a group for each channel as well.
TRANSPOSED = {
    "up by 2, 4×4": (1, 21, 34, 45, 21, 4, 2, 1, 1, 1),
    "up by 8, 16×16": (1, 21, 40, 50, 21, 16, 8, 4, 1, 1),
    "up by 2, 2×2": (2, 128, 28, 28, 64, 2, 2, 0, 1, 1),
    "up by 2, by channel": (1, 21, 34, 45, 21, 4, 2, 1, 1, 21),
    "up by 1, 5×5": (2, 64, 28, 28, 32, 5, 1, 2, 1, 1),
    "up by 1, 5×5, 2 groups": (2, 64, 28, 28, 32, 5, 1, 2, 1, 2),
}
BOUNDS = {"fp32": 2e-5, "tf32": 2e-3, "bf16": 1.5e-2}  # of the norm
WEIGHTS = (4096 * 512 * 49, 4096 * 4096, 14_700_000)  # FCN-8s's: fc6, fc7 and the others
RATE, MOMENTUM, DECAY = 1e-10, 0.9, 5e-4
GRADIENTS = ("of the input", "of the weights", "of the bias")


def run(record):
    machine = Machine(record.options.device)
    machine.enter()
    if not has(record, "set_precision"):
        return
    device = caffe.device.current().torch_device if machine.real else torch.device("cpu")
    if not machine.real:
        machine.leave()
    found = {name: (case, False) for name, case in CASES.items()}
    found.update({f"transposed, {name}": (case, True) for name, case in TRANSPOSED.items()})
    names = list(found)[::4] if record.options.quick else list(found)
    for precision, bound in BOUNDS.items():
        caffe.set_precision(precision)
        for name in names:
            with record.step(f"{precision}, {name}"):
                worst, texts = one(*found[name], device, machine, record.options.quick)
                record.check(f"{precision}, {name}", worst <= bound, "; ".join(texts))
    with record.step("update"):
        update(record, device, machine, record.options.quick)


def update(record, device, machine, quick):
    """The engine's update of FCN-8s's weights, which writes the gradients back because their scale
    carries the rate; and one that only reads them: the history is scaled by a power of two, and the
    dampening carries the rate."""
    power = 2.0 ** math.floor(math.log2(RATE))

    def engines(w, g, h):
        fused_sgd.update(w, g, h, RATE, MOMENTUM, DECAY)

    def reading(w, g, h):
        torch._fused_sgd_(
            w,
            g,
            h,
            weight_decay=DECAY,
            momentum=MOMENTUM,
            lr=power,
            dampening=1 - RATE / power,
            nesterov=False,
            maximize=False,
            is_first_step=False,
        )

    for name, way, scale in (("the engine's", engines, 1.0), ("reading gradients", reading, power)):
        generator = torch.Generator().manual_seed(2)
        w, g, h = (torch.randn(1000, generator=generator).to(device) for _ in range(3))
        w, h = w * 0.02, h * RATE
        wanted = MOMENTUM * h.double() + RATE * (g.double() + DECAY * w.double())
        history = h / scale
        way([w], [g], [history])
        error = relative_error(wanted, history.double() * scale)
        time = ""
        if machine.real:
            lists = [[torch.zeros(n, device=device) for n in WEIGHTS] for _ in range(3)]
            time = f", {tuning._seconds(lambda: way(*lists), first=True):.3f} ms"  # noqa: B023
        record.check(f"update, {name}", error <= 2e-7, f"{error:.1e} of the history's norm{time}")


def one(case, transposed, device, machine, quick):
    """(largest error of any way, what each way took and was off by)."""
    n, c, h, w, outputs, kernel, stride, pad, dilation, groups = case
    if quick:
        n, h, w = min(n, 2), min(h, 14), min(w, 14)
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(n, c, h, w, generator=generator).to(device)
    channels = (c, outputs // groups) if transposed else (outputs, c // groups)
    weight = torch.randn(*channels, kernel, kernel, generator=generator).to(device)
    weight *= (2 / weight[0].numel()) ** 0.5
    bias = torch.randn(outputs, generator=generator).to(device)
    settings = Settings(*([k, k] for k in (stride, pad, dilation)), transposed, [0, 0], groups)
    leaves = [t.double().requires_grad_() for t in (x, weight, bias)]
    want = torch.convolution(*leaves, *settings)
    dy = torch.randn(want.shape, generator=generator).to(device)
    want.backward(dy.double())
    x, dy = convolutions.operand(x), convolutions.operand(dy)
    lies = torch.channels_last if caffe.precision() != "fp32" else torch.contiguous_format
    weight = weight.to(x.dtype).contiguous(memory_format=lies)
    bias = bias.to(x.dtype)
    worst, texts = 0.0, []
    for relu in (False, True):
        ways = convolutions._forward_ways(x, weight, bias, settings, relu)
        expected = want.detach().relu() if relu else want.detach()
        off, text = of_ways(ways, expected, machine)
        worst = max(worst, off)
        texts.append(f"forward{' and ReLU' if relu else ''} {text}")
    backward = convolutions._backward_ways(dy, x, weight, settings, outputs)
    for what, ways, leaf in zip(GRADIENTS, backward, leaves):
        off, text = of_ways(ways, leaf.grad, machine)
        worst = max(worst, off)
        texts.append(f"gradient {what} {text}")
    return worst, texts


def of_ways(ways, expected, machine):
    """(largest error of the ways that run, their errors and times); the first must run."""
    worst, told = 0.0, []
    for number, way in enumerate(ways):
        try:
            found = way()
        except RuntimeError as error:
            if number == 0:
                raise
            told.append(f"none ({str(error).splitlines()[0][:60]})")
            continue
        error = relative_error(expected, found)
        worst = max(worst, error)
        time = f" {tuning._seconds(way, first=True):.3f} ms" if machine.real else ""
        told.append(f"{error:.1e}{time}")
    return worst, ", ".join(told)
