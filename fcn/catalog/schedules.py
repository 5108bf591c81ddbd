"""How long and how fast each experiment learns: the fields of its solver."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Sequence
from typing import Any

#: steps: iterations in all; score_every: iterations between two scorings of val; snapshot_every:
#: between two snapshots of solve.py; fields: what the solver prototxt says, in order.
Schedule = namedtuple("Schedule", "steps score_every snapshot_every fields")

#: The solvers never test by themselves: `fcn/training/loop.py` scores.
NEVER = 999999999


def reference(
    base_lr: float,
    test_iter: int = 736,
    steps: int = 100000,
    every: int = 4000,
    snapshot: int | None = 4000,
    momentum: float = 0.99,
    iter_size: int = 1,
    max_iter: int | None = None,
) -> Schedule:
    """The solver of the published nets; their loss sums 10⁵ pixels, hence the rates.

    every: steps between scorings. snapshot: the prototxt's field, None where it has none (SIFT
    Flow's; solve.py takes snapshots all the same, at every scoring).
    """
    fields = [
        ("test_iter", test_iter),
        ("test_interval", NEVER),
        ("display", 20),
        ("average_loss", 20),
        ("lr_policy", "fixed"),
        ("base_lr", base_lr),
        ("momentum", momentum),
        ("iter_size", iter_size),
        ("max_iter", max_iter or steps),
        ("weight_decay", 0.0005),
        ("test_initialization", False),
    ]
    if snapshot:
        fields.insert(-1, ("snapshot", snapshot))
    return Schedule(steps, every, snapshot or every, tuple(fields))


def minibatch(base_lr: float, **more: Any) -> Schedule:
    """The recipe of the CVPR paper: batches of 20 images, momentum 0.9; the loss is normalised."""
    return reference(base_lr, momentum=0.9, iter_size=20, **more)


def poly(
    steps: int,
    base_lr: float,
    score_every: int,
    test_iter: int,
    weight_decay: float = 0.0005,
    more: Sequence[tuple[str, Any]] = (),
) -> Schedule:
    """Normalised loss, momentum 0.9, and a rate that falls to zero at the last step.

    more: further fields.
    """
    fields = (
        *more,
        ("test_iter", test_iter),
        ("test_interval", NEVER),
        ("display", 20),
        ("average_loss", 20),
        ("lr_policy", "poly"),
        ("power", 0.9),
        ("base_lr", base_lr),
        ("momentum", 0.9),
        ("iter_size", 1),
        ("max_iter", steps),
        ("weight_decay", weight_decay),
        ("snapshot", score_every),
        ("test_initialization", False),
    )
    return Schedule(steps, score_every, score_every, fields)


def adam(
    steps: int, base_lr: float, score_every: int, test_iter: int, weight_decay: float = 0.00001
) -> Schedule:
    """The same with Adam (Kingma & Ba 2015): for trunks of many thin convolutions, whose gradients
    differ by orders of magnitude. The decay is a part of the gradient, as in Caffe."""
    more = (("type", "Adam"), ("momentum2", 0.999), ("delta", 1e-8))
    return poly(steps, base_lr, score_every, test_iter, weight_decay, more)
