"""What LSTM and RNN share: bottoms and tops, the input's weights, the state kept between passes.

BVLC unrolls such a layer into a net of T time steps that share their parameters.  Here the steps
are a loop, and what can be observed of that net is kept: names, order and shapes of the
parameters, the random numbers that its fillers draw, the state, which gradients flow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
import torch

from caffe import glog
from caffe.errors import LayerError
from caffe.layer import Layer, MaybeTensors, Need, Shape, Tensors

if TYPE_CHECKING:
    from caffe.blob import Blob


_MOST_STEPS = 1 << 20


class Inputs(NamedTuple):
    """The bottoms of a recurrent layer, as matrices."""

    x: torch.Tensor  # (T N, D)
    cont: torch.Tensor  # (T, N, 1)
    static: torch.Tensor | None  # (N, Ds)
    state: Tensors  # what the first step starts from, (N, H) each


class Recurrent(Layer):
    """A layer that runs over T time steps of N independent streams, with H = ``num_output``.

    Bottoms: x (T, N, D...); cont (T, N), 0 where a stream begins anew, 1 where it goes on;
    optionally x_static (N, Ds...), which enters every step.  Top: (T, N, H).  With
    ``expose_hidden`` the initial states come as further bottoms and the final ones go out as
    further tops, (1, N, H) each; without, the final state of a forward pass starts the next one
    (zero at first).  No gradient flows into states, across passes or out of exposed final states,
    nor to cont; x, x_static and all parameters get theirs whether asked for or not, as in BVLC.

    Parameters shared with another layer by name are shared by every time step.  (In BVLC's TRAIN
    nets only the first step is; the others go on with memory that nobody trains.)

    T is fixed, N may change between passes.  ``recurrent_param``: ``num_output``,
    ``weight_filler``, ``bias_filler``, ``expose_hidden``; ``debug_info`` is accepted.
    """

    states: ClassVar[int]  # how many blobs the state has: h, or h and c
    gates: ClassVar[int]  # rows of the weights per hidden unit
    no_gradient = frozenset({1})

    def __init__(self, param: Any, phase: int) -> None:
        super().__init__(param, phase)
        self.exposed = self.states if param.recurrent_param.expose_hidden else 0
        self.bottoms = (2 + self.exposed, 3 + self.exposed)
        self.tops = 1 + self.exposed
        self.has_static = self.num_bottoms > 2 + self.exposed

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        from caffe.blob import Blob

        p = self.param.recurrent_param
        if p.num_output <= 0:
            raise self.fail("recurrent_param.num_output must be positive", LayerError)
        self.hidden = p.num_output
        x = bottom_shapes[0]
        if len(x) < 3:
            raise self.fail(f"expected x of 3 axes or more, (T, N, D...); received {x}")
        self.steps = x[0]
        if self.steps < 1:
            raise self.fail(f"needs at least one time step; received x of {x}")
        if self.steps > _MOST_STEPS:  # it would draw and step for hours
            raise self.fail(f"takes at most {_MOST_STEPS} time steps; received x of {x}")
        self.length = math.prod(x[2:])
        rows = self.gates * self.hidden
        self.add_blob((rows, self.length), p.weight_filler)
        self.add_blob((rows,), p.bias_filler)
        if self.has_static:
            static = bottom_shapes[2]
            if len(static) < 2:
                raise self.fail(f"expected x_static of 2 axes or more, (N, Ds...); got {static}")
            self.static_length = math.prod(static[1:])
            self.add_blob((rows, self.static_length), p.weight_filler)
        self.add_step_blobs(p)
        self.state = [Blob((1, x[1], self.hidden)) for _ in range(self.states)]
        self.kept: Any = None  # what the backward pass needs from the last forward pass
        if p.debug_info:
            glog.info(
                "net",
                f"{self.name}: recurrent_param.debug_info has no lines to add: the "
                "time steps are no net of their own",
            )

    def add_step_blobs(self, p: Any) -> None:
        """Add the parameters of one time step; then draw as the T - 1 other steps of BVLC's net
        do, whose own values are filled and thrown away, by :meth:`draw`."""
        raise LayerError(f"layer type '{self.type}' does not define its parameters")

    def draw(self, shape: Shape, filler: Any) -> None:
        """Draw the random numbers of a parameter that nobody will see."""
        from caffe.filler import fill

        if filler.type not in ("constant", "bilinear") and not self.param.blobs:
            fill(np.empty(shape, np.float32), filler)

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        x, cont = bottom_shapes[:2]
        if len(x) < 3 or x[0] != self.steps:
            raise self.fail(
                f"the number of time steps is fixed: expected x of {self.steps} steps, received "
                f"{x}; build another net for sequences of another length"
            )
        if math.prod(x[2:]) != self.length:
            raise self.fail(
                f"the weights {self.blobs[0].dims} are for {self.length} inputs a step, x {x} has "
                f"{math.prod(x[2:])}"
            )
        if cont != x[:2]:
            raise self.fail(f"expected cont of {x[:2]}, (T, N) as x; received {cont}")
        self.streams = x[1]
        if self.has_static:
            static = bottom_shapes[2]
            if static[0] != self.streams or math.prod(static[1:]) != self.static_length:
                raise self.fail(
                    f"expected x_static of {self.streams} streams with {self.static_length} "
                    f"values each; received {static}"
                )
        state = (1, self.streams, self.hidden)
        for i, shape in enumerate(bottom_shapes[len(bottom_shapes) - self.exposed :]):
            if self.exposed and shape != state:
                raise self.fail(f"expected initial state {i} of {state}; received {shape}")
        return [(self.steps, self.streams, self.hidden), *[state] * self.exposed]

    def reshape_blobs(self, bottom: list[Blob], top: list[Blob]) -> None:
        super().reshape_blobs(bottom, top)
        for blob in self.state:  # keeps the first streams; zero where there were never as many
            blob.set_dims((1, self.streams, self.hidden))

    def inputs(self, bottoms: Tensors) -> Inputs:
        """The bottoms as matrices, with the state to start from."""
        first = len(bottoms) - self.exposed
        state = bottoms[first:] if self.exposed else [b.data_tensor() for b in self.state]
        return Inputs(
            bottoms[0].reshape(-1, self.length),
            bottoms[1].reshape(self.steps, self.streams, 1),
            bottoms[2].reshape(self.streams, -1) if self.has_static else None,
            [s.reshape(self.streams, self.hidden) for s in state],
        )

    def project(self, inputs: Inputs, params: Tensors) -> torch.Tensor:
        """What the inputs add to each step: (T, N, gates x H)."""
        y = torch.addmm(params[1], inputs.x, params[0].t()).view(self.steps, self.streams, -1)
        return y if inputs.static is None else y.add_(inputs.static @ params[2].t())

    def keep_state(self, state: Tensors) -> Tensors:
        """Keep final states, (N, H) each, for the next pass; what the further tops get."""
        for blob, value in zip(self.state, state):
            blob.data_tensor().copy_(value.view(1, self.streams, self.hidden))
            blob.touch_data()
        return [s.view(1, self.streams, self.hidden) for s in state[: self.exposed]]

    def project_back(
        self, bottoms: Tensors, params: Tensors, diff: torch.Tensor
    ) -> tuple[MaybeTensors, Tensors]:
        """:meth:`project` backwards: the bottoms' diffs, and those of W_x, b and W_x_static."""
        inputs = self.inputs(bottoms)
        rows = diff.view(self.steps * self.streams, -1)
        bottom_diffs: MaybeTensors = [None] * len(bottoms)
        bottom_diffs[0] = (rows @ params[0]).view(bottoms[0].shape)
        param_diffs = [rows.t() @ inputs.x, rows.sum(0)]
        if inputs.static is not None:
            total = diff.sum(0)
            bottom_diffs[2] = (total @ params[2]).view(bottoms[2].shape)
            param_diffs.append(total.t() @ inputs.static)
        return bottom_diffs, param_diffs

    def cont_of(self, inputs: Inputs, kept: torch.Tensor) -> torch.Tensor:
        """cont for the backward pass: BVLC cuts its bottom into steps, copies, unless it is one."""
        return inputs.cont if self.steps == 1 else kept

    def check_need(self, need: Need) -> None:
        """Refuse a gradient for cont."""
        if need.bottoms[1]:
            raise self.fail(
                "cannot backpropagate to the sequence indicators: set propagate_down: false for "
                "the second bottom, or feed it from a layer without parameters",
                LayerError,
            )
