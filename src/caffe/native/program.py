"""Programs of the native kernels: operations on maps, added one by one and run in one call.

The interface in C is in c/native.h and in the files of the operations.  What an operation is given
is copied when it is added, but for weights that are to be kept; a :class:`Program` keeps those, and
the memory of its maps, as long as it lives.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import NamedTuple

import torch

from caffe import native
from caffe.errors import Error
from caffe.native.handle import Handle
from caffe.native.parts import Rectangle

__all__ = ["Act", "Finish", "Impossible", "Map", "Program", "Window", "has"]

_Int, _Float, _Pointer = ctypes.c_int32, ctypes.c_float, ctypes.c_void_p

# Activations, by the numbers of c/native.h.
NONE, RELU, LEAKY, CLAMP, PRELU, SIGMOID, TANH = range(7)
PROD, SUM, MAX = range(3)  # Eltwise's operations, by Caffe's numbers


class Impossible(Error):
    """An operation cannot be added: the kernels do not know its settings, or memory is missing."""


class Map(ctypes.Structure):
    """``map`` in C: n images of h x w pixels of c numbers, ``pixel`` from each to the next."""

    _fields_ = [
        ("at", _Pointer),
        ("n", _Int), ("h", _Int), ("w", _Int), ("c", _Int),
        ("pixel", ctypes.c_int64),
    ]  # fmt: skip


class Window(ctypes.Structure):
    """``window`` in C: how the kernel of a convolution or a pooling moves over a map."""

    _fields_ = [
        ("kernel_h", _Int), ("kernel_w", _Int), ("stride_h", _Int), ("stride_w", _Int),
        ("pad_h", _Int), ("pad_w", _Int), ("dilation_h", _Int), ("dilation_w", _Int),
        ("groups", _Int),
    ]  # fmt: skip


class _Finish(ctypes.Structure):
    """``finish`` in C."""

    _fields_ = [
        ("bias", _Pointer), ("other", Map), ("act", _Int),
        ("low", _Float), ("high", _Float), ("slopes", _Pointer),
    ]  # fmt: skip


class Act(NamedTuple):
    """An activation: its number, and what it needs (the slope of LEAKY is ``low``)."""

    kind: int = NONE
    low: float = 0.0
    high: float = 0.0
    slopes: torch.Tensor | None = None  # of PRELU, one a channel


class Finish(NamedTuple):
    """What is done to a result before it is stored: + bias by channel, + other, activation."""

    bias: torch.Tensor | None = None
    other: Map | None = None
    act: Act = Act()


def has(name: str) -> bool:
    """Whether the loaded kernels have this function."""
    library = native.library()
    return library is not None and hasattr(library, name)


class Program:
    """Operations in the order in which they were added.  Each method adds one of them.

    Raises Impossible where the kernels refuse an operation.
    """

    def __init__(self) -> None:
        library = native.library()
        if library is None:
            raise Impossible(f"there are no native kernels: {native.why_not()}")
        self._library = library
        self._run = library.kernels_run
        self._run.restype, self._run.argtypes = ctypes.c_int, [_Pointer, ctypes.c_int, _Pointer]
        failure = Impossible("no memory for a program of the native kernels")
        self._made = Handle(failure, "kernels_new")
        self._address = self._made.address
        self._kept: list[torch.Tensor] = []
        self._passing: list[torch.Tensor] = []  # to the operation that is being added
        self._slots = (ctypes.c_void_p * 0)()

    def keep(self, tensor: torch.Tensor) -> torch.Tensor:
        """Let the tensor live as long as the program."""
        self._kept.append(tensor)
        return tensor

    # Into and out of the program ------------------------------------------------------------------

    def take(self, slot: int, out: Map) -> None:
        """The map from the N C H W numbers under this slot."""
        self._grow(slot)
        self._add("kernels_import", ctypes.c_int(slot), ctypes.byref(out))

    def give(self, x: Map, slot: int) -> None:
        """The map as N C H W numbers into the memory under this slot."""
        self._grow(slot)
        self._add("kernels_export", ctypes.byref(x), ctypes.c_int(slot))

    # Operations with weights ----------------------------------------------------------------------

    def convolution(
        self, x: Map, out: Map, window: Window, weight: torch.Tensor, finish: Finish,
        keep: bool = False,
    ) -> None:  # fmt: skip
        """Weights (out, in / groups, kh, kw); with ``keep`` they may be read in each run, and must
        keep their numbers."""
        data = self._numbers(weight, keep)
        self._add(
            "kernels_convolution",
            *_maps(x, out), ctypes.byref(window), data, ctypes.c_int(keep), self._finish(finish),
        )  # fmt: skip

    def convolution_part(
        self, x: Map, out: Map, window: Window, weight: torch.Tensor, finish: Finish
    ) -> None:
        """A convolution of maps that are parts of an input and of its results: ``out`` begins by
        the window's pads before ``x``, and they may be negative."""
        self._weighted("kernels_convolution_part", x, out, window, weight, finish)

    def winograd(
        self, x: Map, out: Map, transformed: torch.Tensor, finish: Finish,
        pad: tuple[int, int] = (1, 1), computed: Rectangle | None = None,
    ) -> None:  # fmt: skip
        """3x3, stride 1, with weights of :func:`caffe.kernels.winograd.transform_weights`,
        (24, out, in).  ``out`` begins by the pads before ``x``, which may be negative: the maps may
        be parts.  With ``computed`` only those of its rows and columns are."""
        rows, columns = ((0, out.h), (0, out.w)) if computed is None else computed
        part = (_Int * 6)(*(1 - p for p in pad), *rows, *columns)
        data = self._numbers(transformed)
        self._add("kernels_winograd", *_maps(x, out), part, data, self._finish(finish))

    def frame(self, out: Map, inside: Rectangle, numbers: torch.Tensor) -> None:
        """Copy ``numbers``, a row for each pixel, around a part of every image.  They are read in
        each run, and may be filled in later."""
        around = out.h * out.w - inside.area
        if tuple(numbers.shape) != (around, out.c) or not numbers.is_contiguous():
            raise Impossible(f"a frame has {(around, out.c)} numbers, got {tuple(numbers.shape)}")
        part = (_Int * 4)(*inside.rows, *inside.columns)
        data = ctypes.c_void_p(self.keep(numbers).data_ptr())
        self._add("kernels_frame", ctypes.byref(out), part, data)

    def depthwise(
        self, x: Map, out: Map, window: Window, weight: torch.Tensor, finish: Finish
    ) -> None:
        """Weights (c, 1, kh, kw)."""
        self._weighted("kernels_depthwise", x, out, window, weight, finish)

    def deconvolution(
        self, x: Map, out: Map, window: Window, weight: torch.Tensor, finish: Finish
    ) -> None:
        """Weights (in, out / groups, kh, kw)."""
        self._weighted("kernels_deconvolution", x, out, window, weight, finish)

    def deconvolution_by_channel(
        self, x: Map, out: Map, window: Window, weight: torch.Tensor, finish: Finish
    ) -> None:
        """Weights (c, 1, kh, kw)."""
        self._weighted("kernels_deconvolution_by_channel", x, out, window, weight, finish)

    def inner_product(self, x: Map, out: Map, weight: torch.Tensor, finish: Finish) -> None:
        """Weights (outputs, c h w), read in each run: they must keep their numbers."""
        data = self._numbers(weight, True)
        self._add("kernels_inner_product", *_maps(x, out), data, self._finish(finish))

    # Operations without ---------------------------------------------------------------------------

    def max_pool(self, x: Map, out: Map, window: Window) -> None:
        """The largest of each window within the image."""
        self._add("kernels_max_pool", *_maps(x, out), ctypes.byref(window))

    def average_pool(self, x: Map, out: Map, window: Window) -> None:
        """The mean of each window, by its area within the image and its pad."""
        self._add("kernels_average_pool", *_maps(x, out), ctypes.byref(window))

    def finish(self, x: Map, out: Map, scale: torch.Tensor | None, finish: Finish) -> None:
        """``act(x scale + bias + other)``; ``out`` may be ``x``."""
        data = None if scale is None else self._numbers(scale)
        self._add("kernels_finish", *_maps(x, out), data, self._finish(finish))

    def eltwise(
        self, operation: int, xs: Sequence[Map], coefficients: Sequence[float] | None, out: Map
    ) -> None:
        """:data:`PROD`, :data:`SUM` or :data:`MAX` of maps."""
        factors = None
        if coefficients is not None:
            factors = (_Float * len(xs))(*coefficients)
        maps = (Map * len(xs))(*xs)
        self._add(
            "kernels_eltwise",
            ctypes.c_int(operation), ctypes.c_int(len(xs)), maps, factors, ctypes.byref(out),
        )  # fmt: skip

    def crop(self, x: Map, out: Map, top: int = 0, left: int = 0) -> None:
        """A copy of the window of ``out``'s size whose first pixel is (top, left)."""
        self._add("kernels_crop", *_maps(x, out), ctypes.c_int(top), ctypes.c_int(left))

    def lrn_across(self, x: Map, out: Map, size: int, alpha: float, beta: float, k: float) -> None:
        """``x (k + alpha / size sum of squares over size channels)^-beta``."""
        numbers = _Float(alpha), _Float(beta), _Float(k)
        self._add("kernels_lrn_across", *_maps(x, out), ctypes.c_int(size), *numbers)

    def lrn_within(self, x: Map, out: Map, size: int, alpha: float, beta: float) -> None:
        """``x (1 + alpha mean of squares over size x size pixels)^-beta``."""
        numbers = _Float(alpha), _Float(beta)
        self._add("kernels_lrn_within", *_maps(x, out), ctypes.c_int(size), *numbers)

    def softmax(self, x: Map, out: Map) -> None:
        """Over the channels."""
        self._add("kernels_softmax", *_maps(x, out))

    # Running --------------------------------------------------------------------------------------

    def run(self, tensors: Sequence[torch.Tensor], threads: int) -> bool:
        """Run with this memory under the slots, contiguous float32 tensors, the outputs to be
        filled among them; False where a number that was taken or given was not finite."""
        slots = self._slots
        for i, tensor in enumerate(tensors):
            slots[i] = tensor.data_ptr()
        found = self._run(self._address, threads, slots)
        if found < 0:
            raise MemoryError("no memory for the native kernels' scratch")
        return found == 0

    # Inside ---------------------------------------------------------------------------------------

    def _add(self, name: str, *given: object) -> None:
        function = getattr(self._library, name, None)
        if function is None:
            raise Impossible(f"the native kernels have no {name}")
        function.restype = ctypes.c_int
        refused = function(self._address, *given) != 0
        self._passing.clear()
        if refused:
            raise Impossible(f"{name} does not take these settings, or has no memory")

    def _weighted(
        self, name: str, x: Map, out: Map, window: Window, weight: torch.Tensor, finish: Finish
    ) -> None:
        data = self._numbers(weight)
        self._add(name, *_maps(x, out), ctypes.byref(window), data, self._finish(finish))

    def _finish(self, finish: Finish) -> ctypes.Array:
        act = finish.act
        found = _Finish(act=act.kind, low=act.low, high=act.high)
        if finish.bias is not None:
            found.bias = self._numbers(finish.bias)
        if finish.other is not None:
            found.other = finish.other
        if act.slopes is not None:
            found.slopes = self._numbers(act.slopes)
        return (_Finish * 1)(found)  # which is given as a pointer to the first

    def _numbers(self, values: torch.Tensor, keep: bool = False) -> ctypes.c_void_p:
        """Where the numbers lie, contiguous, in float32, until the operation is added; or as long
        as the program lives."""
        values = values.detach().float().contiguous()
        (self._kept if keep else self._passing).append(values)
        return ctypes.c_void_p(values.data_ptr())

    def _grow(self, slot: int) -> None:
        if slot >= len(self._slots):
            self._slots = (ctypes.c_void_p * (slot + 1))()


def _maps(x: Map, out: Map) -> tuple[object, object]:
    return ctypes.byref(x), ctypes.byref(out)
