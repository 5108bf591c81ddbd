"""The two copies of a storage's numbers: how the newest gets to where it is asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
import torch

from caffe._planes import copy_planes
from caffe.device import Device, current
from caffe.storage.lending import Lending
from caffe.storage.versions import BOTH, HOST, TENSOR, ZERO

__all__ = ["Copies"]


class Copies(Lending):
    """The host copy of ``capacity`` numbers, and the tensor."""

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self.capacity = capacity
        self._alias: torch.Tensor | None = None  # the host copy, seen by PyTorch
        self._make: Callable[[], torch.Tensor] | None = None  # in the state DEFERRED

    @property
    def is_zero(self) -> bool:
        """True while nothing was ever written since creation or :meth:`zero`."""
        return self.state == ZERO

    @property
    def on_host(self) -> bool:
        """True while the newest numbers lie where an array shows them: a user has looked at them
        since layers wrote them, or has written them."""
        return self.state in (HOST, BOTH) or self.leases > 0

    @property
    def deferred(self) -> bool:
        """True while nobody has asked for what :meth:`defer` promised."""
        return self._make is not None

    @property
    def promised(self) -> Callable[[], torch.Tensor] | None:
        """What :meth:`defer` was given, until somebody asks for the numbers."""
        return self._make

    def _settle(self) -> None:
        """Compute what was deferred."""
        if self._make is not None:
            if self._sentinels:
                self.alert()
            with torch.no_grad():
                value = self._make()
            self._make = self._spare = None
            self._keep(value)
            self.state = TENSOR

    # The host copy ------------------------------------------------------------------------------

    def address(self) -> int:
        """Where the host copy lies; there must be one."""
        if self._alias is not None:  # NumPy takes ten times as long to tell
            return self._alias.data_ptr()
        return int(cast(np.ndarray, self._host).ctypes.data)

    def newest_on_host(self) -> np.ndarray | None:
        """The host copy while it is the newest or equal to it, None otherwise; no lease."""
        self._settle()
        if self.state == ZERO:
            return np.zeros(self.capacity, np.float32)
        return self._host if self.state in (HOST, BOTH) else None

    def _newest_host(self) -> np.ndarray:
        if self.state == TENSOR:
            t = self._held_tensor()
            flat = t.detach()
            if (
                self._host is None
                and current().shares_host
                and t.device.type == "cpu"
                and t.dtype is torch.float32
                and t.numel() == self.capacity
                and t.is_contiguous()
                and not self._is_lent()
            ):
                self._alias = flat.view(-1)
                self._host = self._alias.numpy()  # no copy: the tensor becomes the host
            else:
                host = self._allocated_host()
                target = torch.from_numpy(host)[: t.numel()].view(t.shape)
                copy_planes(target, flat)
            self.state = BOTH
        elif self.state == ZERO:
            self._allocated_host()
            self.state = HOST
        return self._allocated_host()

    def _allocated_host(self) -> np.ndarray:
        if self._host is None:
            self._host = np.zeros(self.capacity, np.float32)
        return self._host

    def _is_own_host(self, value: torch.Tensor) -> bool:
        """True where ``value`` lives in the host copy, from its first number on."""
        return (
            self._host is not None
            and value.is_cpu
            and value.is_contiguous()
            and value.data_ptr() == self.address()
        )

    # The tensor ---------------------------------------------------------------------------------

    def newest(self, shape: Sequence[int]) -> torch.Tensor:
        """:meth:`tensor`, unwatched."""
        if self._make is not None:
            self._settle()
        device = current()
        if device.shares_host:
            given = self._given
            if given is not None and given[0] == self.state and given[1] == shape:
                if not self.leases or self.state == HOST:
                    return given[2]
            return self._tensor_in_host_memory(tuple(shape))
        return self._tensor_on_device(tuple(shape), device)

    def _tensor_in_host_memory(self, shape: tuple[int, ...]) -> torch.Tensor:
        n = math.prod(shape)
        if self.state in (TENSOR, BOTH) and not self.leases:
            t = self._held_tensor()
            if t.is_cpu:
                if t.shape == shape:
                    if self.state == TENSOR:
                        self._given = TENSOR, shape, t
                    return t
                if t.numel() == n and t.is_contiguous():
                    return t.view(shape)
        host = self._newest_host()
        self.state = HOST
        self._drop()
        if self._alias is None:
            self._alias = torch.from_numpy(host)
        flat = self._alias if n == self.capacity else self._alias[:n]
        view = flat.view(shape)
        self._given = HOST, shape, view
        return view

    def _tensor_on_device(self, shape: tuple[int, ...], device: Device) -> torch.Tensor:
        where = device.torch_device
        n = math.prod(shape)
        if self.state == ZERO:
            self.state = TENSOR
            return self._keep(torch.zeros(shape, device=where))
        if self.state != HOST:
            t = self._held_tensor()
            if t.device != where and "cpu" not in (t.device.type, where.type):
                t = self._keep(t.to(where))
            if t.device == where:
                if t.shape == shape:
                    return t
                if n <= t.numel():
                    return self._view(shape)
                if self._host is None:  # the shape has grown, and beyond the tensor all is zero
                    grown = torch.zeros(n, dtype=t.dtype, device=where)
                    grown[: t.numel()] = t.reshape(-1)
                    return self._keep(grown.view(shape))
        host = self._newest_host()
        uploaded = self._keep(device.upload(host[:n]).view(shape))
        # While somebody holds an array the host may change again at any moment.
        self.state = HOST if self.leases else BOTH
        return uploaded

    def _view(self, shape: tuple[int, ...]) -> torch.Tensor:
        """The first numbers of the tensor under another shape, the same object each time."""
        view = self._views.get(shape)
        if view is None:
            t = self._held_tensor()
            if not t.is_contiguous():
                t = self._keep(t.contiguous())
            view = self._views[shape] = t.view(-1)[: math.prod(shape)].view(shape)
        return view
