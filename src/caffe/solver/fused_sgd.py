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

Tensors = list[torch.Tensor]


def update(
    w: Tensors,
    g: Tensors,
    h: Tensors,
    rate: float,
    momentum: float,
    decay: float,
    factor: float | torch.Tensor = 1.0,
) -> None:
    """h = momentum h + rate (factor g + decay w);  w -= h.  In place, for each of the lists'
    tensors; what ``g`` holds afterwards is of no use."""
    device = w[0].device
    if isinstance(factor, torch.Tensor):
        scale = factor.mul(rate).reciprocal_()
    else:
        scale = _scalar(1.0 / (rate * factor), device)
    torch._fused_sgd_(
        w,
        g,
        h,
        weight_decay=decay * rate,
        momentum=momentum,
        lr=1.0,
        dampening=0.0,
        nesterov=False,
        maximize=False,
        is_first_step=False,
        grad_scale=scale,
    )


@functools.lru_cache(maxsize=16)
def _scalar(value: float, device: torch.device) -> torch.Tensor:
    """A number on a device; rates recur, so most updates find it there."""
    return torch.full((), value, dtype=torch.float32, device=device)


@functools.cache
def available(device: str = "cpu") -> bool:
    """Whether :func:`update` computes what it says in this PyTorch, on this type of device."""
    generator = torch.Generator().manual_seed(1)
    w, g, h = (torch.randn(300, generator=generator) for _ in range(3))
    expected_h = 0.9 * h + 1e-3 * (0.5 * g + 0.2 * w)
    expected_w = w - expected_h
    w, g, h = (t.to(device) for t in (w, g, h))
    try:
        update([w], [g], [h], rate=1e-3, momentum=0.9, decay=0.2, factor=0.5)
    except (AttributeError, RuntimeError, TypeError):
        return False
    near = functools.partial(torch.allclose, rtol=1e-5, atol=1e-6)
    w, g, h = (t.cpu() for t in (w, g, h))
    return near(h, expected_h) and near(w, expected_w)
