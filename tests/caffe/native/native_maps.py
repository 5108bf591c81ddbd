"""Programs of native kernels from tests: maps in PyTorch's memory, with guards around them.

``run(name, out_shape, *arguments)`` adds one operation to a new program, runs it and gives the
output in Caffe's layout.  Tensors of four dimensions among the arguments, channels first, become
maps that are slices of wider ones; other arguments are passed on.
"""

import ctypes

import torch

from caffe import native

GUARD = 777.0  # what lies between the slices, and stays


class Map(ctypes.Structure):
    _fields_ = [
        ("at", ctypes.c_void_p),
        *((name, ctypes.c_int32) for name in ("n", "h", "w", "c")),
        ("pixel", ctypes.c_int64),
    ]


class Window(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_int32)
        for name in (
            "kernel_h", "kernel_w", "stride_h", "stride_w", "pad_h", "pad_w",
            "dilation_h", "dilation_w", "groups",
        )
    ]  # fmt: skip


class Finish(ctypes.Structure):
    _fields_ = [
        ("bias", ctypes.c_void_p),
        ("other", Map),
        ("act", ctypes.c_int32),
        ("low", ctypes.c_float),
        ("high", ctypes.c_float),
        ("slopes", ctypes.c_void_p),
    ]


NONE, RELU, LEAKY, CLAMP, PRELU, SIGMOID, TANH = range(7)


def window(kernel, stride=1, pad=0, dilation=1, groups=1):
    """A window; each number may be a pair, height first."""
    pairs = [x if isinstance(x, tuple) else (x, x) for x in (kernel, stride, pad, dilation)]
    return Window(*(x for pair in pairs for x in pair), groups)


class Wide:
    """A map of a shape (n, c, h, w) with ``extra`` channels of guards after its own."""

    def __init__(self, shape, extra=0, values=None):
        n, c, h, w = shape
        self.memory = torch.full((n * h * w * (c + extra) + 32,), GUARD)
        self._all = self.memory[16:-16].view(n, h, w, c + extra)
        self._c = c
        if values is not None:
            self._all[..., :c] = values.permute(0, 2, 3, 1)
        self.map = Map(self._all.data_ptr(), n, h, w, c, c + extra)

    def values(self):
        """The map in Caffe's layout."""
        return self._all[..., : self._c].permute(0, 3, 1, 2).contiguous()

    def check_guards(self):
        """Nothing was written outside the map's channels."""
        assert bool((self._all[..., self._c :] == GUARD).all())
        assert bool((self.memory[:16] == GUARD).all() and (self.memory[-16:] == GUARD).all())


def finish(act=NONE, bias=None, other=None, low=0.0, high=0.0, slopes=None):
    """A finish; ``other`` is a Wide.  The tensors must live until the operation was added."""
    found = Finish(act=act, low=low, high=high)
    if bias is not None:
        found.bias = bias.data_ptr()
    if slopes is not None:
        found.slopes = slopes.data_ptr()
    if other is not None:
        found.other = other.map
    return found


def finished(y, act=NONE, bias=None, other=None, low=0.0, high=0.0, slopes=None):
    """What a finish makes of ``y``, by PyTorch."""
    if bias is not None:
        y = y + bias.to(y).view(1, -1, 1, 1)
    if other is not None:
        y = y + other.values().to(y)
    return {
        NONE: lambda: y,
        RELU: lambda: y.relu(),
        LEAKY: lambda: torch.where(y > 0, y, y * low),
        CLAMP: lambda: y.clamp(low, high),
        PRELU: lambda: torch.prelu(y, slopes.to(y)) if slopes is not None else y,
        SIGMOID: lambda: y.sigmoid(),
        TANH: lambda: y.tanh(),
    }[act]()


def some_finish(act, shape):
    """Arguments for finish() and finished() with everything in them, for an output of a shape."""
    return {
        "act": act,
        "bias": torch.randn(shape[1]),
        "other": Wide(shape, 3, torch.randn(shape)),
        "low": {LEAKY: 0.1, CLAMP: -0.5}.get(act, 0.0),
        "high": 1.5,
        "slopes": torch.rand(shape[1]),
    }


def program():
    kernels = native.library()
    kernels.kernels_new.restype = ctypes.c_void_p
    return ctypes.c_void_p(kernels.kernels_new())


def passed(argument):
    """An argument as C takes it."""
    if isinstance(argument, Wide):
        return ctypes.byref(argument.map)
    if isinstance(argument, ctypes.Structure):
        return ctypes.byref(argument)
    if isinstance(argument, torch.Tensor):
        return ctypes.c_void_p(argument.data_ptr())
    if isinstance(argument, float):
        return ctypes.c_float(argument)
    return argument


def run(name, out, *arguments, threads=1):
    """Run one operation, twice with the same program; the values of ``out`` in Caffe's layout."""
    kernels, made = native.library(), program()
    added = getattr(kernels, name)(made, *map(passed, arguments))
    assert added == 0
    found = []
    for _ in range(2):
        assert kernels.kernels_run(made, threads, None) == 0
        found.append(out.values())
    kernels.kernels_free(made)
    assert torch.equal(*found)
    out.check_guards()
    return found[0]


def assert_close(found, expected, tolerance=1e-6):
    """Equal to ``tolerance`` of the largest value."""
    assert found.shape == expected.shape
    error = float((found.double() - expected.double()).abs().max())
    assert error <= tolerance * float(expected.abs().max())
