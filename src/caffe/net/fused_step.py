"""Runs a group of layers (folding.py) as one call: of oneDNN, by Winograd or as a matrix product.

A hidden blob, one that only the group's own layers would read, is not computed: its storage knows
how to (``Storage.defer``) and does it when somebody asks, from the input and the weights of that
pass.  The step declines, and the layers run one by one, where somebody holds an array of a hidden
blob or of a weight, where a weight or the input is not finite (kernels/fused.py says why), and
where a window is computed (plan_steps.py).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple, cast

import torch

from caffe.arithmetic import precision
from caffe.errors import naming
from caffe.kernels import fused, winograd
from caffe.kernels.fused import Convolution as Compute
from caffe.kernels.fused import Settings
from caffe.layer import Shape
from caffe.layer.convolution import Convolution
from caffe.layer.prelu import PReLU
from caffe.net.folding import Group, Stage, fold, stages
from caffe.net.wiring import Graph

__all__ = ["FusedStep", "prefers_winograd"]

DIRECT, WINOGRAD, PRODUCT = "direct", "winograd", "product"  # ways to compute a group
_NARROW = (torch.bfloat16, DIRECT)


class _Weights(NamedTuple):
    """What a group computes with, made for these versions of its parameters."""

    versions: list[int]
    kind: tuple[torch.dtype, str]  # and the way
    compute: Compute | None  # None where a number in them is not finite
    stages: list[Stage]  # of the hidden blobs


class FusedStep:
    """Layers ``group.first`` to ``group.end - 1`` of a net for inference.

    Attributes:
        end: the layer after the last.
        checks: whether the inputs come from layers that may give NaN.
    """

    def __init__(self, graph: Graph, group: Group, checks: bool) -> None:
        self.end, self.checks = group.end, checks
        self._group = group
        self._layer = cast(Convolution, graph.layers[group.first])
        self._parts = [
            (graph.layers[i], graph.bottom(i), graph.top(i)) for i in range(group.first, group.end)
        ]
        self._bottom = graph.blobs[graph.bottoms[group.first][0]]
        self._top = graph.blobs[graph.tops[group.end - 1][0]]
        self._other = None if group.other is None else graph.blobs[group.other]
        self._hidden = [(graph.blobs[b], count) for b, count in group.hidden.items()]
        self._blobs = list({id(b): b for part in self._parts for b in part[1] + part[2]}.values())
        self._parameters = [layer.blobs for layer, _, _ in self._parts if layer.blobs]
        self._shapes: list[tuple[int, ...]] = []
        self._fits, self._way = False, DIRECT
        self._weights: _Weights | None = None
        layer = self._layer
        self._settings = Settings(layer.pad, layer.stride, layer.dilation, layer.group)

    def run(self, check: bool) -> bool:
        """The forward pass of the layers; False, with nothing changed, where the step declines."""
        if self._layer.window is not None:
            return False
        for blob, _ in self._hidden:
            if blob.data_storage.leases:
                return False
        if self._shapes != [b.dims for b in self._blobs]:
            self._reshape()
        if not self._fits:
            return False
        weights = self._current_weights()
        if weights is None or weights.compute is None:
            return False
        given = self._bottom.data_tensor()
        x = self._operand(given, weights)
        if check and not fused.finite(x):
            return False
        other = None
        if self._other is not None:
            other = self._operand(self._other.data_tensor(), weights)
            if check and not fused.finite(other):
                return False
        self._top.set_data(weights.compute(x, other))
        if self._hidden:
            self._defer(given, x, weights.stages)
        return True

    def let_go(self) -> None:
        """Give up the packed weights; the next pass packs them again."""
        self._weights = None

    @staticmethod
    def _operand(given: torch.Tensor, weights: _Weights) -> torch.Tensor:
        dtype = weights.kind[0]
        return fused.last(given if given.dtype is dtype else given.to(dtype))

    def _reshape(self) -> None:
        for layer, bottom, top in self._parts:
            with naming(layer):
                layer.reshape_blobs(bottom, top)
        self._shapes = [b.dims for b in self._blobs]
        layer, shape = self._layer, self._bottom.dims
        self._fits = len(shape) == 4 and all(b.count for b in self._blobs)
        self._fits = self._fits and not any(layer._overhang(shape[2:]))
        if self._fits:
            self._way = self._fastest()

    def _fastest(self) -> str:
        """The way for the present shapes."""
        layer, bottom = self._layer, self._bottom.dims
        if fused.prefers_product(layer.kernel, self._settings, bottom, layer.num_output):
            return PRODUCT
        return WINOGRAD if prefers_winograd(layer, self._top.dims) else DIRECT

    # Weights --------------------------------------------------------------------------------------

    def _current_weights(self) -> _Weights | None:
        """The packed weights, made anew where a parameter has changed; None where somebody may be
        writing to one, or the processor does not know the precision."""
        versions = []
        for blobs in self._parameters:
            for blob in blobs:
                version = blob.data_storage.version()
                if version is None:
                    return None
                versions.append(version)
        narrow = precision() == "bf16"
        if narrow and not fused.available("bf16"):
            return None
        kind = _NARROW if narrow else (torch.float32, self._way)
        known = self._weights
        if known is None or known.versions != versions or known.kind != kind:
            self._weights = None  # let go of the old before the new is made
            known = self._weights = self._make(versions, kind)
        return known

    def _make(self, versions: list[int], kind: tuple[torch.dtype, str]) -> _Weights:
        group, act, (dtype, way) = self._group, self._group.act, kind
        weight, bias = fold(self._layer, group.affine)
        slopes = act.blobs[0].data_tensor().view(-1) if isinstance(act, PReLU) else None
        if not all(fused.finite(t) for t in (weight, bias, slopes) if t is not None):
            return _Weights(versions, kind, None, [])
        compute: Compute
        if way == PRODUCT:
            compute = fused.product(weight, bias, group.activation)
        elif way == WINOGRAD:
            u = winograd.prepare(weight)
            compute = functools.partial(self._by_winograd, u, bias)
        else:
            packed = fused.pack(weight.to(dtype), self._settings, self._bottom.dims)
            bias = bias if bias is None else bias.to(dtype)
            compute = fused.convolution(packed, bias, self._settings, group.activation)
        if slopes is not None:
            compute = _then_prelu(compute, slopes.to(dtype))
        return _Weights(
            versions, kind, compute, stages(self._layer, group.affine) if self._hidden else []
        )

    # Computing ------------------------------------------------------------------------------------

    def _by_winograd(
        self,
        u: winograd.Prepared,
        bias: torch.Tensor | None,
        x: torch.Tensor,
        other: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """What :func:`fused.convolution` computes, from the transformed weights."""
        n, o, h, w = self._top.dims
        activation = self._group.activation
        relu = activation.name == "relu" and other is None
        y = torch.empty(n, h, w, o)
        for image, target in zip(x.permute(0, 2, 3, 1), y):
            winograd.forward(image, u, bias, target, relu)
        y = y.permute(0, 3, 1, 2)
        if other is not None:
            y += other
        return y if relu else fused.activate(y, activation)

    def _defer(self, given: torch.Tensor, x: torch.Tensor, parts: Sequence[Stage]) -> None:
        """Let the hidden blobs know how to be computed from this pass's input, whatever is written
        into the bottom afterwards."""
        if x.data_ptr() == given.data_ptr() and not self._bottom.data_storage.lend():
            x = x.clone()
        for blob, count in self._hidden:
            blob.data_storage.defer(functools.partial(_run, x, parts[:count]))


def prefers_winograd(layer: Convolution, top: Shape) -> bool:
    """Whether Winograd's way is the fastest for a top of this shape."""
    if layer.kernel != [3, 3] or layer.pad != [1, 1] or layer.stride != [1, 1]:
        return False
    if layer.dilation != [1, 1] or layer.group != 1:
        return False
    return winograd.applies_in_step(layer.channels, layer.num_output, *top[2:])


def _then_prelu(compute: Compute, slopes: torch.Tensor) -> Compute:
    return lambda *inputs: torch.prelu(compute(*inputs), slopes)


def _run(x: torch.Tensor, parts: Sequence[Stage]) -> torch.Tensor:
    for part in parts:
        x = part(x)
    return x
