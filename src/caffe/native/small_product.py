"""Inner products of few items in training by the native kernels, one call each way, and the update
of weights whose gradient is that of one item (c/small_product.c)."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from typing import Any

import torch

from caffe import native

__all__ = ["Product", "applies", "back", "forward", "of"]

_MOST_ITEMS = 4  # with more a product of matrices is faster
_MOST_WEIGHTS = 1 << 20  # with more PyTorch's threads are


class Product(ctypes.Structure):
    """``small_product`` in C."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("x", "weight", "bias", "dy")),
        *((name, ctypes.c_void_p) for name in ("y", "dx", "dw", "db")),
        *((name, ctypes.c_int64) for name in ("items", "inputs", "outputs")),
    )


def applies(rows: torch.Tensor, weight: torch.Tensor) -> bool:
    """Whether the functions are for these items (N, inputs) and weights (outputs, inputs)."""
    few = 0 < len(rows) <= _MOST_ITEMS and 0 < weight.numel() <= _MOST_WEIGHTS
    if not few or not (rows.is_cpu and rows.dtype is weight.dtype is torch.float32):
        return False
    return rows.is_contiguous() and weight.is_contiguous() and native.available()


def of(rows: torch.Tensor, weight: torch.Tensor, **others: torch.Tensor | None) -> Product:
    """The structure for these items and weights, and for ``bias``, ``dy`` and what is to be
    written: ``y``, or the gradients ``dx``, ``dw`` and ``db`` that are wanted.  All contiguous."""
    addresses: dict[str, Any] = {
        name: None if t is None else t.data_ptr() for name, t in others.items()
    }
    outputs, inputs = weight.shape
    return Product(
        x=rows.data_ptr(), weight=weight.data_ptr(), items=len(rows), inputs=inputs,
        outputs=outputs, **addresses,
    )  # fmt: skip


def forward(structure: Product) -> None:
    """Write ``y``."""
    _functions()[0](ctypes.byref(structure))


def back(structure: Product) -> None:
    """Write the gradients."""
    _functions()[1](ctypes.byref(structure))


@functools.cache
def _functions() -> tuple[Callable[..., int], Callable[..., int]]:
    kernels = native.needed()
    return kernels.kernels_small_product, kernels.kernels_small_product_back
