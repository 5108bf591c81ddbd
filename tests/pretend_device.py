"""A pretend GPU: the rules and the costs of one, on a machine without.

PyTorch lets one more backend be registered, under the key PrivateUse1.  Here it is written in
Python: a tensor on ``pretend:0`` or ``pretend:1`` wraps an ordinary one, reports the pretend
device, and sends every operator through :func:`_run`, which does what CUDA would do.  It refuses
operands on different devices, refuses ``numpy()``, and counts kernel launches, copies in both
directions and waits of the host for the device, each by the line of the engine that caused it.

    import pretend_device
    pretend_device.install()
    pretend_device.set_mode_pretend()
    with pretend_device.counting() as counts:
        net.forward()
    counts["launch"], counts["sync"], counts.lines("sync")

The numbers are the CPU's, but for divisions of a tensor by a number of the host: CUDA multiplies by
the reciprocal, and so does this.  So it proves nothing of CUDA's kernels, of hazards between
streams, or of branches on ``device.type == "cuda"``; and an operator that CUDA runs as three
kernels counts as one launch.  It works in every thread, and leaves tensors on the CPU alone.
PyTorch's autograd knows the first device only.

Kinds that are counted:

    launch  an operator that computes on the device
    moved   bytes of its operands and results: what the memory moves at least, each read once
    view    an operator that only makes another view: no launch
    alloc   memory taken without writing it: no launch
    H2D     a copy from the host to the device; H2D bytes its size
    D2H     a copy from the device to the host; D2H bytes its size
    P2P     a copy between two devices
    sync    the host waits for the device: every D2H that is not non_blocking into pinned memory,
            every H2D that is not non_blocking from pinned memory, and every operator whose result
            the host must know (``item()``, ``nonzero``, an index by a mask)
"""

from __future__ import annotations

import collections
import contextlib
import sys
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch.utils._pytree import tree_flatten, tree_map

__all__ = [
    "DEVICES",
    "Counts",
    "PretendTensor",
    "available",
    "counting",
    "install",
    "set_mode_pretend",
    "uninstall",
]

NAME = "pretend"
DEVICES = 2
HOST = torch.device("cpu")

# What the host must know before it can go on: the size of a result, or a number.
WAITS = {
    "aten::_local_scalar_dense",
    "aten::_unique2",
    "aten::bincount",
    "aten::equal",
    "aten::histc",
    "aten::masked_select",
    "aten::nonzero",
    "aten::unique_consecutive",
    "aten::unique_dim",
}
INDEXING = {"aten::index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_"}
ALLOCATES = {
    "aten::empty",
    "aten::empty_like",
    "aten::empty_strided",
    "aten::new_empty",
    "aten::new_empty_strided",
}
NOTHING = {"aten::detach", "aten::lift_fresh", "aten::alias"}


# Counting ---------------------------------------------------------------------------------------


class Counts:
    """What happened while :func:`counting` was open: ``counts[kind]``, 0 for what did not."""

    def __init__(self) -> None:
        self.kinds: collections.Counter[str] = collections.Counter()
        self.where: collections.Counter[tuple[str, str, str]] = collections.Counter()

    def __getitem__(self, kind: str) -> int:
        return self.kinds[kind]

    def lines(self, kind: str) -> dict[str, int]:
        """``{"layer/pooling.py:97 aten::equal": times}`` for one kind, the most frequent first."""
        return {f"{line} {name}": n for (k, line, name), n in self.where.most_common() if k == kind}

    def __repr__(self) -> str:
        return f"Counts({dict(self.kinds)})"


_open: list[Counts] = []


@contextlib.contextmanager
def counting() -> Iterator[Counts]:
    """Count what all threads do on the pretend devices until the block ends."""
    counts = Counts()
    _open.append(counts)
    try:
        yield counts
    finally:
        _open.remove(counts)


def _note(kind: str, name: str, number: int = 1) -> None:
    if _open:
        line = _line()
        for counts in _open:
            counts.kinds[kind] += number
            counts.where[kind, line, name] += number


def _line() -> str:
    """The innermost line of the package ``caffe`` that led here, or of any file outside torch."""
    fallback = "?"
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if name != __file__ and "/torch/" not in name:
            if "/caffe/" in name and "/tests/" not in name:
                return f"{name.rsplit('/caffe/', 1)[1]}:{frame.f_lineno}"
            if fallback == "?":
                fallback = f"{name.rsplit('/', 1)[1]}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return fallback


# Tensors ----------------------------------------------------------------------------------------


class PretendTensor(torch.Tensor):
    """A tensor on the pretend device; ``inner`` holds its numbers in ordinary memory."""

    inner: torch.Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, inner: torch.Tensor, device: torch.device) -> PretendTensor:
        made = torch.Tensor._make_wrapper_subclass(
            cls,
            inner.size(),
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            layout=inner.layout,
            device=device,
        )
        made.inner = inner
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})

    # What a view shares can be asked of the real memory.
    def untyped_storage(self) -> Any:
        return self.inner.untyped_storage()

    def data_ptr(self) -> int:
        return self.inner.data_ptr()

    def numpy(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(
            f"can't convert {self.device} device type tensor to numpy. Use Tensor.cpu() to copy "
            "the tensor to host memory first."
        )

    __array__ = numpy

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return f"PretendTensor({self.inner!r}, device={self.device})"


def _device(value: Any) -> torch.device | None:
    """The pretend device that ``value`` names, its index filled in; None for another device."""
    if value is None:
        return None
    device = torch.device(value)
    if device.type != NAME:
        return None
    index = device.index or 0
    if index >= DEVICES:
        raise RuntimeError(f"invalid device ordinal: {device}, there are {DEVICES}")
    return torch.device(NAME, index)


def _unwrap(value: Any) -> Any:
    return value.inner if isinstance(value, PretendTensor) else value


def _bytes(tensor: torch.Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """One operator with at least one operand on a pretend device."""
    name = func._schema.name
    if name == "aten::_to_copy":
        return _to_copy(func, args, dict(kwargs))
    if name == "aten::copy_":
        return _copy(args[0], args[1], kwargs.get("non_blocking", len(args) > 2 and args[2]))
    operands, _ = tree_flatten((args, kwargs))
    ours = [t for t in operands if isinstance(t, PretendTensor)]
    _check_devices(name, args, operands, ours)
    _count(name, func, args)
    inner_args, inner_kwargs = tree_map(_unwrap, (args, kwargs))
    target = ours[0].device if ours else HOST
    if kwargs.get("device") is not None:
        target = _device(kwargs["device"]) or HOST
        inner_kwargs["device"] = HOST
    inner_kwargs.pop("pin_memory", None)
    if _divides_by_a_number(name, args, kwargs):
        func, inner_args = _by_reciprocal(name, inner_args)
    result = func(*inner_args, **inner_kwargs)
    if _open and _launches(name, func):
        written = [t for t in tree_flatten(result)[0] if isinstance(t, torch.Tensor)]
        read = {id(t): t for t in ours}.values()  # an out= may be an operand as well
        _note("moved", name, sum(_bytes(t) for t in [*read, *written]))
    if target == HOST:
        return result
    known = {id(t.inner): t for t in ours}  # in-place operators give back the very objects

    def wrap(value: Any) -> Any:
        if not isinstance(value, torch.Tensor) or isinstance(value, PretendTensor):
            return value
        found = known.get(id(value))
        # a result written to an empty out= has grown
        return (
            found
            if found is not None and found.shape == value.shape
            else PretendTensor(value, target)
        )

    return tree_map(wrap, result)


def _check_devices(name: str, args: Any, operands: list[Any], ours: list[PretendTensor]) -> None:
    devices = {str(t.device) for t in ours}
    for t in operands:
        if not isinstance(t, torch.Tensor) or isinstance(t, PretendTensor):
            continue
        if name in INDEXING and t is not args[0]:
            _note("H2D", name)  # CUDA uploads an index that lies on the host
            _note("sync", name)
            continue
        written = name.endswith("_") and args and t is args[0]
        if t.dim() == 0 and not written:
            continue  # a number: passed to the kernel by value
        if t.numel() == 0 and name == "aten::cat":
            continue
        devices.add("cpu")
    if len(devices) > 1:
        raise RuntimeError(
            "Expected all tensors to be on the same device, but found at least two devices, "
            f"{' and '.join(sorted(devices))}! (in {name}, at {_line()})"
        )
    for t in operands:
        if isinstance(t, torch.Generator) and ours:
            found = _generators.get(t._cdata, HOST)
            if found != ours[0].device:
                raise RuntimeError(
                    f"Expected a '{ours[0].device}' generator device but found '{found}'"
                )


def _divides_by_a_number(name: str, args: Any, kwargs: dict[str, Any]) -> bool:
    """Whether CUDA multiplies by the reciprocal: a division, not rounded to an integer, of a tensor
    by a number of the host, which may have become a tensor without axes."""
    if name not in ("aten::div", "aten::div_") or kwargs.get("rounding_mode") is not None:
        return False
    x, by = args
    return isinstance(x, PretendTensor) and not isinstance(by, PretendTensor)


def _by_reciprocal(name: str, inner_args: Any) -> tuple[Any, Any]:
    """The operator and operands by which CUDA divides by a number: its reciprocal is rounded to the
    type that the kernel computes in, float32 but for float64."""
    x, by = inner_args
    wide = torch.float64 if x.dtype == torch.float64 else torch.float32
    reciprocal = torch.tensor(float(by), dtype=wide).reciprocal()
    operator = torch.ops.aten.mul_ if name.endswith("_") else torch.ops.aten.mul
    dtype = x.dtype if x.dtype.is_floating_point else torch.get_default_dtype()
    return operator.Tensor, (x if x.dtype == dtype else x.to(dtype), reciprocal)


def _launches(name: str, func: Any) -> bool:
    """Whether an operator computes, and neither only takes memory nor only makes a view."""
    if name in NOTHING or name in ALLOCATES:
        return False
    returns = func._schema.returns
    return not any(r.alias_info is not None and not r.alias_info.is_write for r in returns)


def _count(name: str, func: Any, args: Any) -> None:
    if not _launches(name, func):
        if name not in NOTHING:
            _note("alloc" if name in ALLOCATES else "view", name)
        return
    _note("launch", name)
    if name in WAITS:
        _note("sync", name)
    elif name in INDEXING:
        indices = tree_flatten(args[1])[0]
        if any(
            isinstance(t, torch.Tensor) and t.dtype in (torch.bool, torch.uint8) for t in indices
        ):
            _note("sync", name + " by a mask")
    elif name == "aten::repeat_interleave" and len(args) < 2:
        _note("sync", name)


def _to_copy(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    source = args[0]
    asked = kwargs.pop("device", None)
    non_blocking = kwargs.pop("non_blocking", False)
    kwargs.pop("pin_memory", None)
    target = source.device if asked is None else _device(asked) or HOST
    result = func(_unwrap(source), **kwargs)
    if target == HOST:
        # PyTorch gives a non_blocking copy to the host pinned memory
        _note_copy(source, result, non_blocking, pinned=non_blocking)
        return result
    made = PretendTensor(result, target)
    _note_copy(source, made, non_blocking)
    return made


def _copy(target: torch.Tensor, source: torch.Tensor, non_blocking: bool = False) -> torch.Tensor:
    _note_copy(source, target, non_blocking)
    _unwrap(target).copy_(_unwrap(source))
    return target


def _note_copy(
    source: torch.Tensor, target: torch.Tensor, non_blocking: bool, pinned: bool = False
) -> None:
    if source.device == target.device:
        _note("launch", "aten::copy_")
        _note("moved", "aten::copy_", _bytes(source) + _bytes(target))
        return
    up, down = isinstance(target, PretendTensor), isinstance(source, PretendTensor)
    if up and down:
        _note("P2P", "aten::copy_")
        return
    kind = "H2D" if up else "D2H"
    _note(kind, "aten::copy_")
    _note(kind + " bytes", "aten::copy_", _bytes(source))
    host = source if up else target
    if not (non_blocking and (pinned or _is_pinned(host))):
        _note("sync", kind)


# Pinned memory, generators ----------------------------------------------------------------------


class _PinnedMemory(np.ndarray):
    """Memory that counts as pinned for as long as a tensor uses it."""


_pinned: set[int] = set()


def _pinned_tensor(shape: Any, dtype: torch.dtype) -> torch.Tensor:
    size = max(1, int(np.prod(shape)) * torch.empty(0, dtype=dtype).element_size())
    memory = np.empty(size, np.uint8).view(_PinnedMemory)
    address = memory.ctypes.data
    _pinned.add(address)
    weakref.finalize(memory, _pinned.discard, address)
    flat = torch.frombuffer(memory, dtype=torch.uint8)
    return (
        flat[: size - size % torch.empty(0, dtype=dtype).element_size()]
        .view(dtype)[: int(np.prod(shape))]
        .view(tuple(shape))
    )


def _is_pinned(tensor: torch.Tensor) -> bool:
    return tensor.untyped_storage().data_ptr() in _pinned


def _pin_memory(tensor: torch.Tensor, device: Any = None) -> torch.Tensor:
    if isinstance(tensor, PretendTensor):
        raise RuntimeError(f"cannot pin '{tensor.device}': only dense CPU tensors can be pinned")
    if _is_pinned(tensor):
        return tensor
    return _pinned_tensor(tensor.shape, tensor.dtype).copy_(tensor)


_generators: dict[int, torch.device] = {}  # by address: operators get other Python objects


class _PretendGenerator(torch.Generator):
    """A generator for a pretend device: the CPU's numbers, refused by tensors elsewhere."""

    def __new__(cls, device: torch.device) -> _PretendGenerator:
        made = super().__new__(cls, HOST)
        _generators[made._cdata] = device
        weakref.finalize(made, _generators.pop, made._cdata, None)
        return made

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return _generators[self._cdata]


class _GeneratorClass(type):
    def __call__(cls, device: Any = "cpu") -> torch.Generator:
        ours = _device(device)
        return _REAL["Generator"](device) if ours is None else _PretendGenerator(ours)

    def __instancecheck__(cls, value: Any) -> bool:
        return isinstance(value, _REAL["Generator"])


class _Generator(metaclass=_GeneratorClass):
    """Stands for torch.Generator, whose C++ code knows no pretend device."""


def _factory(name: str) -> Any:
    """torch.empty and its kind, with ``pin_memory``, which otherwise needs a real GPU."""

    def make(*size: Any, pin_memory: bool = False, **kwargs: Any) -> torch.Tensor:
        made = _REAL[name](*size, **kwargs)
        if not pin_memory:
            return made
        pinned = _pinned_tensor(made.shape, made.dtype)
        return pinned if name == "empty" else pinned.copy_(made)

    return make


# Installing -------------------------------------------------------------------------------------

_REAL = {
    "Generator": torch.Generator,
    "empty": torch.empty,
    "zeros": torch.zeros,
    "ones": torch.ones,
    "full": torch.full,
}
_REAL_TENSOR = {"pin_memory": torch.Tensor.pin_memory, "is_pinned": torch.Tensor.is_pinned}
_registered: list[Any] = []  # the torch.library.Library, once


class _Backend:
    """What PyTorch asks of a device module: ``torch.pretend``."""

    def is_initialized(self) -> bool:
        return True

    def is_available(self) -> bool:
        return True

    def current_device(self) -> int:
        return 0

    def device_count(self) -> int:
        return DEVICES

    def manual_seed_all(self, seed: int) -> None:
        pass

    def _is_in_bad_fork(self) -> bool:
        return False


def _register() -> None:
    """Tell PyTorch of the backend: once a process, it cannot be taken back."""
    if _registered:
        return
    from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

    _setup_privateuseone_for_python_backend(NAME, _Backend())
    library = torch.library.Library("aten", "IMPL")

    def empty(size, dtype=None, layout=None, device=None, pin_memory=None, memory_format=None):  # type: ignore[no-untyped-def]
        _note("alloc", "aten::empty")
        inner = _REAL["empty"](
            size, dtype=dtype, memory_format=memory_format or torch.contiguous_format
        )
        return PretendTensor(inner, _device(device))

    def empty_strided(size, stride, dtype=None, layout=None, device=None, pin_memory=None):  # type: ignore[no-untyped-def]
        _note("alloc", "aten::empty_strided")
        return PretendTensor(torch.empty_strided(size, stride, dtype=dtype), _device(device))

    def copy_from(source, target, non_blocking=False):  # type: ignore[no-untyped-def]
        return _copy(target, source, non_blocking)

    library.impl("empty.memory_format", empty, "PrivateUse1")
    library.impl("empty_strided", empty_strided, "PrivateUse1")
    library.impl("_copy_from", copy_from, "PrivateUse1")
    _registered.append(library)


def available() -> bool:
    """Whether this PyTorch can take a backend written in Python."""
    from torch.utils import backend_registration

    return hasattr(backend_registration, "_setup_privateuseone_for_python_backend")


def install() -> None:
    """Make the pretend devices known to PyTorch, and the names that its C++ code keeps from them:
    ``torch.Generator`` and pinned memory.  Raises ImportError where this PyTorch is too old."""
    _register()
    torch.Generator = _Generator  # type: ignore[misc, assignment]
    for name in _REAL:
        if name != "Generator":
            setattr(torch, name, _factory(name))
    torch.Tensor.pin_memory = _pin_memory  # type: ignore[method-assign, assignment]
    torch.Tensor.is_pinned = lambda tensor, device=None: _is_pinned(tensor)  # type: ignore[method-assign, assignment]


def uninstall() -> None:
    """Give PyTorch its own names back; tensors on the pretend device stay usable."""
    for name, value in _REAL.items():
        setattr(torch, name, value)
    for name, value in _REAL_TENSOR.items():
        setattr(torch.Tensor, name, value)


def set_mode_pretend(index: int = 0) -> None:
    """Compute on a pretend device in this thread, as ``caffe.set_mode_gpu()`` does on a GPU."""
    from caffe import device

    where = torch.device(NAME, index)
    device._mode.device = device.Device(f"{NAME}{index}", where, False, pinned=True)
