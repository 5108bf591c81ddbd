"""InnerProduct: a fully connected layer."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from caffe import kernels
from caffe.arithmetic import precision
from caffe.errors import LayerError
from caffe.layer import Layer, MaybeTensors, Need, Shape, Tensors, register
from caffe.native import small_product
from caffe.native.calls import floats


@register("InnerProduct")
class InnerProduct(Layer):
    """``y = x W' + b`` over everything from ``axis`` (default 1) on: (batch axes..., K axes...) to
    (batch axes..., num_output).

    Weights: (num_output, K), or (K, num_output) with ``transpose``; bias: (num_output).
    """

    any_precision = True
    refuses_in_place = True  # BVLC accepts it and loses its input before it is read

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p = self.param.inner_product_param
        shape = bottom_shapes[0]
        self.first = self.axis(p.axis, len(shape))
        self.num_input = math.prod(shape[self.first :])
        self.num_output = p.num_output
        self.transpose = p.transpose
        if self.num_output <= 0:
            raise self.fail("needs num_output", LayerError)
        sizes = (self.num_output, self.num_input)
        self.add_blob(sizes[::-1] if self.transpose else sizes, p.weight_filler)
        self.has_bias = p.bias_term
        if self.has_bias:
            self.add_blob((self.num_output,), p.bias_filler)

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        shape = bottom_shapes[0]
        if math.prod(shape[self.first :]) != self.num_input:
            raise self.fail(
                f"input size incompatible with inner product parameters: the weights "
                f"{self.blobs[0].dims} are for {self.num_input} inputs, the bottom {shape} has "
                f"{math.prod(shape[self.first :])} from axis {self.first} on"
            )
        return [(*shape[: self.first], self.num_output)]

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        x = _operand(bottoms[0])
        rows = x.reshape(-1, self.num_input)
        weight, *bias = (self._as(x.dtype, i, p) for i, p in enumerate(params))
        if self.is_small(rows, weight):
            y = floats((len(rows), self.num_output))
            small_product.forward(
                small_product.of(rows, weight, bias=bias[0] if bias else None, y=y)
            )
        elif x.is_cpu and len(rows) == 1 and bias and x.dtype == torch.float32:
            # A matrix and a vector: less ado than for two matrices.
            y = torch.addmv(bias[0], weight.t() if self.transpose else weight, rows[0])
        else:
            weight = weight if self.transpose else weight.t()  # (K, num_output)
            y = torch.addmm(bias[0], rows, weight) if bias else rows @ weight
        return [y.view(*x.shape[: self.first], self.num_output)]

    def backward(
        self, tops: Tensors, top_diffs: Tensors, bottoms: Tensors, params: Tensors, need: Need
    ) -> tuple[MaybeTensors, MaybeTensors]:
        x = _operand(bottoms[0])
        rows = x.reshape(-1, self.num_input)
        g = top_diffs[0].to(x.dtype).reshape(-1, self.num_output)
        bottom_diff = None
        param_diffs: MaybeTensors = [None] * len(params)
        if self.is_small(rows, params[0]):
            wanted = need.bottoms[0], need.params[0], self.has_bias and need.params[1]
            shapes = rows.shape, params[0].shape, (self.num_output,)
            dx, dw, db = (floats(s) if n else None for s, n in zip(shapes, wanted))
            g = g.contiguous()
            small_product.back(small_product.of(rows, params[0], dy=g, dx=dx, dw=dw, db=db))
            return [None if dx is None else dx.view(x.shape)], [dw, db][: len(params)]
        if need.params[0]:
            a, b = (rows, g) if self.transpose else (g, rows)
            spare = self.blobs[0].diff_storage.spare((a.shape[1], b.shape[1]))
            spare = spare if a.is_cpu else None
            param_diffs[0] = torch.mm(a.t(), b, out=spare)
        if self.has_bias and need.params[1]:
            param_diffs[1] = g.sum(0, dtype=torch.float32)
        if need.bottoms[0]:
            weight = self._as(x.dtype, 0, params[0])
            weight = weight.t() if self.transpose else weight  # (num_output, K)
            bottom_diff = (g @ weight).view(x.shape)
        return [bottom_diff], param_diffs

    def is_small(self, rows: torch.Tensor, weight: torch.Tensor) -> bool:
        """Whether the native kernels for few items in training multiply these."""
        if self.phase != 0 or self.transpose or not kernels.enabled():
            return False
        return small_product.applies(rows, weight)

    def _as(self, dtype: torch.dtype, index: int, values: torch.Tensor) -> torch.Tensor:
        """A parameter in the precision of the products; its bfloat16 copy is made once a change."""
        if values.dtype == dtype:
            return values
        storage = self.blobs[index].data_storage
        return storage.cached("bf16", lambda: values.to(dtype))


def _operand(x: torch.Tensor) -> torch.Tensor:
    """A bottom in the precision of the products: :func:`caffe.set_precision`'s on a GPU."""
    narrow = precision() == "bf16" and x.device.type != "cpu" and kernels.enabled()
    return x.to(torch.bfloat16 if narrow else torch.float32)
