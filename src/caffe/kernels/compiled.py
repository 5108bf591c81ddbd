"""A chain of operators as one program of oneDNN's graph compiler, for one set of shapes.

Operator by operator PyTorch looks up a kernel, asks for memory and lays data out in every call:
5 to 60 µs each, more than a small layer's arithmetic.  oneDNN's graph compiler, which PyTorch ships
for TorchScript, does this once: it joins convolutions with what follows, packs the weights and
keeps activations in the layout that its kernels like from layer to layer.

PyTorch calls TorchScript deprecated; :func:`available` finds out where it is missing, and callers
then compute operator by operator.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from typing import Any

import torch

__all__ = ["available", "compiled"]

#: From tensors to tensors; PyTorch's operators only, and no look at a value.
Operators = Callable[..., "tuple[torch.Tensor, ...]"]

_RUNS = 2  # of a new program: the first finds the shapes, the second compiles
_compiling = threading.Lock()  # the switch is the process's


def available() -> bool:
    """Whether this PyTorch has the compiler and oneDNN may be used."""
    return bool(torch.backends.mkldnn.enabled) and _works()


@functools.cache
def _works() -> bool:
    weight = torch.ones(1, 1, 1, 1)

    def run(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (torch.relu(torch.conv2d(x, weight)),)

    x = torch.tensor([-1.0, 2.0]).view(1, 1, 1, 2)
    program = compiled(run, [x])
    return program is not None and program(x)[0].flatten().tolist() == [0.0, 2.0]


def compiled(run: Operators, inputs: Sequence[torch.Tensor]) -> Operators | None:
    """``run`` for inputs of the shapes and strides of ``inputs``; None where that is not possible.

    Tensors that ``run`` takes from elsewhere are constants of the program: they must keep their
    numbers as long as it is used.  With other shapes it computes too, but slowly.
    """
    try:
        with _compiling, torch.no_grad():
            before = torch._C._jit_llga_enabled()
            torch._C._jit_set_llga_enabled(True)
            try:
                graph = torch._C._create_graph_by_tracing(
                    run, tuple(inputs), lambda tensor: "", False, False, None, []
                )[0]
                # Of its own: what PyTorch's other functions make lives as long as the process.
                program: Any = torch._C._create_function_from_graph("program", graph)
                for _ in range(_RUNS):
                    program(*inputs)
                if "oneDNNFusionGroup" not in str(torch._C._last_executed_optimized_graph()):
                    return None
            finally:
                torch._C._jit_set_llga_enabled(before)
    except (AttributeError, TypeError, RuntimeError):
        return None
    return lambda *given: _tuple(program(*given))


def _tuple(found: Any) -> tuple[torch.Tensor, ...]:
    """TorchScript gives a tuple of one as it is, and a list as a list."""
    return (found,) if isinstance(found, torch.Tensor) else tuple(found)
