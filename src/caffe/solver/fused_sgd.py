"""One pass over the memory for SGD with momentum, where PyTorch has it.

PyTorch's private ``_fused_sgd_`` reads weights, gradients and history once, in about half the time
of the single steps.  Its formula is another (the rate outside the history), but its gradient scale
and weight decay can carry the rate, so that it computes Caffe's.  It is tried once on a small case;
where it is missing or disagrees, the plain steps are used.
"""

from __future__ import annotations

import functools

import torch

__all__ = ["available", "update"]


def update(
    w: torch.Tensor,
    g: torch.Tensor,
    h: torch.Tensor,
    rate: float,
    momentum: float,
    decay: float,
    factor: float = 1.0,
) -> None:
    """h = momentum h + rate (factor g + decay w);  g = h;  w -= h.  In place."""
    torch._fused_sgd_(
        [w],
        [g],
        [h],
        weight_decay=decay * rate,
        momentum=momentum,
        lr=1.0,
        dampening=0.0,
        nesterov=False,
        maximize=False,
        is_first_step=False,
        grad_scale=torch.tensor(1.0 / (rate * factor)),
    )
    g.copy_(h)


@functools.cache
def available() -> bool:
    """Whether :func:`update` computes what it says in this PyTorch (on the CPU)."""
    generator = torch.Generator().manual_seed(1)
    w, g, h = (torch.randn(300, generator=generator) for _ in range(3))
    expected_h = 0.9 * h + 1e-3 * (0.5 * g + 0.2 * w)
    expected_w = w - expected_h
    try:
        update(w, g, h, rate=1e-3, momentum=0.9, decay=0.2, factor=0.5)
    except (AttributeError, RuntimeError, TypeError):
        return False
    near = functools.partial(torch.allclose, rtol=1e-5, atol=1e-6)
    return near(h, expected_h) and near(w, expected_w) and torch.equal(g, h)
