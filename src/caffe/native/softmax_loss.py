"""SoftmaxWithLoss of few scores by the native kernels, one call each way (c/softmax_loss.c).

PyTorch needs thirteen operators there and back, some 200 µs for the ten scores of LeNet.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable

import torch

from caffe import native
from caffe.native.calls import floats

__all__ = ["applies", "backward", "forward", "of"]

_MOST = 1 << 17  # scores: with more PyTorch's threads are faster


class _Loss(ctypes.Structure):
    """``softmax_loss`` in C."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("scores", "labels", "top_diff")),
        *((name, ctypes.c_void_p) for name in ("prob", "logs", "loss", "diff")),
        *((name, ctypes.c_int64) for name in ("rows", "classes", "ignored")),
        ("divisor", ctypes.c_double),
        ("ignores", ctypes.c_int32),
    )


def applies(scores: torch.Tensor, labels: torch.Tensor, classes: int) -> bool:
    """Whether the functions are for these scores, ``classes`` after each other for each label."""
    if not scores.is_cpu or scores.numel() > _MOST or scores.numel() != classes * labels.numel():
        return False
    kind = scores.dtype is labels.dtype is torch.float32
    return kind and scores.is_contiguous() and labels.is_contiguous() and native.available()


def forward(
    scores: torch.Tensor, labels: torch.Tensor, classes: int, ignored: int | None, divisor: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor] | None:
    """The loss; the probabilities, like the scores; the logarithm of that of each label, 0 where it
    is ``ignored``.  None where a label is wrong or a score is not finite.

    ``divisor`` is that of the sum of losses, 0 for how many labels are not ignored.
    """
    loss, prob = floats(()), torch.empty_like(scores)
    logs = floats(labels.shape)
    given = of(labels, prob, classes, ignored, divisor)
    given.scores, given.logs, given.loss = scores.data_ptr(), logs.data_ptr(), loss.data_ptr()
    return None if _functions()[0](ctypes.byref(given)) else (loss, prob, logs)


def backward(
    top_diff: torch.Tensor,
    prob: torch.Tensor,
    labels: torch.Tensor,
    classes: int,
    ignored: int | None,
    divisor: float,
) -> torch.Tensor | None:
    """The gradient of the scores; None where a label is wrong."""
    diff = torch.empty_like(prob)
    given = of(labels, prob, classes, ignored, divisor)
    given.top_diff, given.diff = top_diff.data_ptr(), diff.data_ptr()
    return None if _functions()[1](ctypes.byref(given)) else diff


def of(
    labels: torch.Tensor, prob: torch.Tensor, classes: int, ignored: int | None, divisor: float
) -> _Loss:
    """The structure without what only one of the two passes needs: ``scores``, ``logs`` and
    ``loss``, or ``top_diff`` and ``diff``."""
    rows, label = labels.numel(), 0 if ignored is None else ignored
    return _Loss(
        labels=labels.data_ptr(), prob=prob.data_ptr(), rows=rows, classes=classes,
        ignored=label, divisor=divisor, ignores=ignored is not None,
    )  # fmt: skip


@functools.cache
def _functions() -> tuple[Callable[..., int], Callable[..., int]]:
    kernels = native.needed()
    return kernels.kernels_softmax_loss, kernels.kernels_softmax_loss_back
