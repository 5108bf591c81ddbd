"""Convolutions on a GPU, in the precision that :func:`caffe.set_precision` names.

    fp32   PyTorch's operator on float32 as it lies
    tf32   float32 in channels-last memory, which the tensor cores take without re-laying it out
    bf16   bfloat16 in channels-last memory; the weights keep a float32 master

A ReLU after the convolution is computed in cuDNN's own call where there is one.  Weights are laid
out once: their storage keeps the channels-last memory from then on, gradients come in the same
layout, and an update touches both without a copy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from caffe import kernels
from caffe.precision import precision
from caffe.storage import Storage

__all__ = ["backward", "forward", "operand"]

Grads = tuple["torch.Tensor | None", "torch.Tensor | None", "torch.Tensor | None"]
Settings = tuple  # stride, padding, dilation, transposed, output padding, groups

_fused: Callable[..., torch.Tensor] | None = getattr(torch, "cudnn_convolution_relu", None)


def operand(x: torch.Tensor) -> torch.Tensor:
    """An activation (N, C, H, W) as the precision's convolutions want it."""
    name = precision() if kernels.enabled() else "fp32"
    if name == "fp32" or x.ndim != 4:
        return x if x.dtype == torch.float32 else x.float()
    dtype = torch.bfloat16 if name == "bf16" else torch.float32
    return x.to(dtype).contiguous(memory_format=torch.channels_last)


def _weights(weight: torch.Tensor, storage: Storage) -> torch.Tensor:
    """The weights in the layout and type of the precision."""
    name = precision() if kernels.enabled() else "fp32"
    if name == "fp32" or weight.ndim != 4:
        return weight
    if not weight.is_contiguous(memory_format=torch.channels_last):
        weight = weight.contiguous(memory_format=torch.channels_last)
        storage.relayout(weight)
    if name == "bf16":
        return storage.cached("bf16", lambda: weight.to(torch.bfloat16))
    return weight


def forward(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    storages: Sequence[Storage],
    settings: Settings,
    relu: bool = False,
) -> torch.Tensor:
    """The convolution of x (N, C, H, W), and a ReLU after it on request.

    ``storages`` hold weight and bias, and what is derived from them.
    """
    x = operand(x)
    w = _weights(weight, storages[0])
    b = bias
    if b is not None and b.dtype != x.dtype:
        values = b
        b = storages[1].cached("bf16", lambda: values.to(torch.bfloat16))
    if relu and _fused is not None and x.is_cuda and torch.version.cuda and kernels.enabled():
        stride, pad, dilation, transposed, _, group = settings
        if not transposed and group == 1:
            return _fused(x, w, b, stride, pad, dilation, group)
    y = torch.convolution(x, w, b, *settings)
    return y.relu_() if relu else y


def backward(
    dy: torch.Tensor,
    x: torch.Tensor,
    weight: torch.Tensor,
    storages: Sequence[Storage],
    settings: Settings,
    mask: Sequence[bool],
    outputs: int,
) -> Grads:
    """The gradients of x, weights and bias, those that ``mask`` asks for; the last two float32."""
    x, dy = operand(x), operand(dy)
    w = _weights(weight, storages[0])
    dx, dw, db = torch.ops.aten.convolution_backward(dy, x, w, [outputs], *settings, list(mask))
    return dx, None if dw is None else dw.float(), None if db is None else db.float()
