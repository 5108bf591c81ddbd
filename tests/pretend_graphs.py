"""CUDA graphs for the pretend GPU: what is captured has not run, and a replay runs it again.

As on CUDA, launches between the beginning and the end of a capture compute nothing: memory that is
written keeps its numbers, new tensors hold garbage (NaN), generators do not move.  What CUDA
refuses in a capture raises: waiting for the device, copies from or to the host, a generator that
was not registered.  :meth:`Graph.replay` repeats the launches on the same memory.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import pretend_device
import torch
from torch.utils._pytree import tree_flatten, tree_map

from caffe.net import replay

__all__ = ["Backend", "Graph", "replayed"]


class Graph:
    """Stands for torch.cuda.CUDAGraph."""

    def __init__(self) -> None:
        self.launches: list[tuple[Any, Any, Any, Any]] = []
        self.generators: list[torch.Generator] = []

    def register_generator_state(self, generator: torch.Generator) -> None:
        self.generators.append(generator)

    def replay(self) -> None:
        pretend_device._note("launch", "graph")
        for func, args, kwargs, results in self.launches:
            for kept, new in zip(tree_flatten(results)[0], tree_flatten(func(*args, **kwargs))[0]):
                if isinstance(kept, torch.Tensor) and kept.data_ptr() != new.data_ptr():
                    kept.copy_(new)


def _writes(func: Any, args: Any, kwargs: Any) -> list[torch.Tensor]:
    """The operands that an operator writes into."""
    found = []
    for i, a in enumerate(func._schema.arguments):
        if a.alias_info is not None and a.alias_info.is_write:
            value = args[i] if i < len(args) else kwargs.get(a.name)
            found += [t for t in tree_flatten(value)[0] if isinstance(t, torch.Tensor)]
    return found


class Backend:
    """What :data:`caffe.net.replay.BACKENDS` wants of a device."""

    new = Graph
    captured: list[Graph] = []
    settle = staticmethod(lambda: None)
    trim = staticmethod(lambda: None)

    @staticmethod
    @contextlib.contextmanager
    def capture(graph: Graph) -> Iterator[None]:
        before: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}  # written memory, its numbers
        fresh: list[torch.Tensor] = []
        states = [g.get_state() for g in graph.generators]
        run, note_copy = pretend_device._run, pretend_device._note_copy

        thread = threading.get_ident()  # others go on as they are

        def no_copy(source: Any, target: Any, *how: Any, **named: Any) -> None:
            if source.device != target.device and threading.get_ident() == thread:
                raise RuntimeError("operation not permitted when stream is capturing: a copy")
            note_copy(source, target, *how, **named)

        def record(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
            if threading.get_ident() != thread:
                return run(func, args, kwargs)
            name = func._schema.name
            operands = tree_flatten((args, kwargs))[0]
            on_host = [
                t
                for t in operands
                if isinstance(t, torch.Tensor)
                and not isinstance(t, pretend_device.PretendTensor)
                and t.dim()
            ]
            to_host = name == "aten::_to_copy" and kwargs.get("device") == torch.device("cpu")
            if name in pretend_device.WAITS or on_host or to_host:
                raise RuntimeError(f"operation not permitted when stream is capturing: {name}")
            for t in operands:
                known = [g._cdata for g in graph.generators]
                if isinstance(t, torch.Generator) and t._cdata not in known:
                    raise RuntimeError("a generator that is not registered is used in a capture")
            inner_args, inner_kwargs = tree_map(pretend_device._unwrap, (args, kwargs))
            inner_kwargs.pop("device", None)
            inner_kwargs.pop("pin_memory", None)
            if name == "aten::_to_copy":
                inner_kwargs.pop("non_blocking", None)
            for t in _writes(func, inner_args, inner_kwargs):
                memory = t.untyped_storage()
                if memory.data_ptr() not in before:
                    whole = torch.empty(0, dtype=torch.uint8).set_(memory)
                    before[memory.data_ptr()] = whole, whole.clone()
            result = run(func, args, kwargs)
            inner = tree_map(pretend_device._unwrap, result)
            aliases = any(r.alias_info is not None for r in func._schema.returns)
            if name not in pretend_device.ALLOCATES and name not in pretend_device.NOTHING:
                if not aliases or _writes(func, inner_args, inner_kwargs):
                    graph.launches.append((func, inner_args, inner_kwargs, inner))
            if not aliases:
                fresh.extend(t for t in tree_flatten(inner)[0] if isinstance(t, torch.Tensor))
            return result

        pretend_device._run, pretend_device._note_copy = record, no_copy
        try:
            yield
        finally:
            pretend_device._run, pretend_device._note_copy = run, note_copy
            for t in fresh:
                if t.is_floating_point():
                    t.fill_(float("nan"))
            for whole, numbers in before.values():
                whole.copy_(numbers)
            for generator, state in zip(graph.generators, states):
                generator.set_state(state)
        Backend.captured.append(graph)


@contextlib.contextmanager
def replayed() -> Iterator[list[Graph]]:
    """Let nets on the pretend device capture and replay; the graphs that were captured."""
    Backend.captured = []
    replay.BACKENDS[pretend_device.NAME] = Backend
    try:
        yield Backend.captured
    finally:
        del replay.BACKENDS[pretend_device.NAME]
