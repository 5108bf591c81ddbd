"""Solvers: the training loop of Caffe.

One iteration is: clear the gradients, test if it is time, run ``iter_size`` forward and backward
passes, display, update the weights, snapshot if it is time.  The log lines are those that Caffe's
log parsers read.

How to add a solver: a rule in ``rules.py`` (what is subtracted, from the gradient and its history),
and here a class with that rule, decorated with :func:`register`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch

from caffe import glog, rng
from caffe.errors import SolverError
from caffe.hints import did_you_mean
from caffe.net import Net, NetVec
from caffe.prototxt import read_solver
from caffe.rank import is_root, solver_count, solver_rank
from caffe.solver import detections, rules, snapshot
from caffe.solver.actions import Action
from caffe.solver.losses import Losses
from caffe.solver.lr_policy import learning_rate
from caffe.solver.nets import build_test_nets, build_train_net
from caffe.solver.signals import undisturbed
from caffe.solver.testing import log_outputs, run_test
from caffe.solver.update import SolverUpdate

if TYPE_CHECKING:
    from caffe.parallel import NCCL

__all__ = [
    "AdaDeltaSolver",
    "AdaGradSolver",
    "AdamSolver",
    "NesterovSolver",
    "RMSPropSolver",
    "SGDSolver",
    "Solver",
    "from_param",
    "get_solver",
    "register",
]

S = TypeVar("S", bound="Solver")


class Solver:
    """A training run described by a solver prototxt.  Use a subclass, or :func:`get_solver`.

    The class decides the update rule; ``type``, ``solver_mode`` and ``device_id`` in the file are
    ignored here, as in pycaffe: call ``caffe.set_mode_gpu()`` and ``caffe.set_device()``.

    Raises:
        PrototxtError: the file or a net in it cannot be read.
        SolverError: settings that are missing, contradictory or out of range.
    """

    type = ""
    rule: rules.UpdateRule = rules.UpdateRule()

    def __init__(self, solver_file: str | os.PathLike[str]):
        source = os.fsdecode(solver_file)
        self._init(read_solver(source), source)

    @classmethod
    def from_param(cls, param: Any, source: str = "<solver>") -> Solver:
        """A solver from a SolverParameter; it is used as it is, not copied."""
        solver = cls.__new__(cls)
        solver._init(param, source)
        return solver

    def _init(self, param: Any, source: str) -> None:
        glog.info("solver", f"Initializing solver from parameters: \n{param}")
        self._param = param
        self._check(source)
        if param.random_seed >= 0:
            rng.set_random_seed(param.random_seed + solver_rank())
        self._net = build_train_net(param, source)
        self._test_nets = build_test_nets(param, source)
        self._update = SolverUpdate(self.rule, self._net)
        self._iter = 0
        self._current_step = 0
        self._losses = Losses()
        self._callbacks: list[tuple[Callable[[], Any], Callable[[], Any]]] = []
        self._ask_for_action: Callable[[], Action] = lambda: Action.NONE
        self._stopped_early = False
        glog.info("solver", "Solver scaffolding done.")

    def _check(self, source: str) -> None:
        param = self._param
        for name in ("average_loss", "iter_size"):
            if getattr(param, name) < 1:
                raise SolverError(
                    f"{source}: {name} should be non-zero and positive, received "
                    f"{getattr(param, name)}"
                )
        if param.weight_decay and param.regularization_type not in ("L1", "L2"):
            raise SolverError(
                f"{source}: Unknown regularization type: expected L1 or L2, received "
                f"{param.regularization_type!r}"
            )
        if param.ap_version not in detections.VERSIONS:
            raise SolverError(
                f"{source}: Unknown ap_version: expected one of {', '.join(detections.VERSIONS)}, "
                f"received {param.ap_version!r}"
            )
        self.rule.check(param)
        if param.snapshot and is_root():
            snapshot.check_writable(param.snapshot_prefix)

    # What pycaffe shows -------------------------------------------------------------------------

    @property
    def net(self) -> Net:
        """The net that is trained."""
        return self._net

    @property
    def test_nets(self) -> NetVec:
        """The nets that are tested; they share the train net's weights from the first test on."""
        return NetVec(self._test_nets)

    @property
    def iter(self) -> int:
        """Updates done."""
        return self._iter

    @property
    def current_step(self) -> int:
        """How many times the policies "step" and "multistep" have lowered the rate."""
        return self._current_step

    @property
    def param(self) -> Any:
        """The SolverParameter; ``base_lr`` may be changed at any time."""
        return self._param

    @property
    def lr(self) -> float:
        """The rate of the next update.  With "multistep", reading may advance the step by one."""
        rate, self._current_step = self._rate()
        return rate

    def add_callback(
        self,
        on_start: Callable[[], Any] | NCCL,
        on_gradients_ready: Callable[[], Any] | None = None,
    ) -> None:
        """Have functions called in every iteration: before the passes, and before the update.

        ``add_callback(nccl)`` averages the gradients over the solvers that train together.
        """
        if on_gradients_ready is None:  # an object with both, as NCCL is
            on_gradients_ready = getattr(on_start, "on_gradients_ready", None)
            on_start = getattr(on_start, "on_start", on_start)
        if not callable(on_start) or not callable(on_gradients_ready):
            raise TypeError(
                "add_callback takes two functions without arguments, on_start and "
                f"on_gradients_ready; received {on_start!r} and {on_gradients_ready!r}"
            )
        self._callbacks.append((on_start, on_gradients_ready))

    def set_action_function(self, ask: Callable[[], Action]) -> None:
        """Have ``ask()`` say, after each iteration and before each test batch, what is wanted."""
        self._ask_for_action = ask

    def share_weights(self, net: Net) -> None:
        """Let ``net`` use the weights of the train net."""
        net.share_with(self._net)

    def snapshot(self) -> None:
        """Write weights and state to ``<snapshot_prefix>_iter_<N>``.

        Raises SolverError in a solver that is not rank 0 of those that train together.
        """
        if not is_root():
            raise SolverError(
                f"solver {solver_rank()} of {solver_count()} was asked for a "
                "snapshot: only rank 0 writes them"
            )
        self._net.check_verdicts()
        snapshot.save(self)

    def restore(self, path: str | os.PathLike[str]) -> None:
        """Continue from a solverstate (``.solverstate`` or ``.solverstate.h5``)."""
        snapshot.restore(self, os.fsdecode(path))

    # The loop -------------------------------------------------------------------------------------

    def step(self, iterations: int) -> None:
        """Run iterations with tests, display and snapshots.

        An exception from a layer ends the loop and is passed on; the iteration does not count.
        KeyboardInterrupt waits for the end of an iteration, unless Ctrl-C comes a second time.
        """
        param = self._param
        start = self._iter
        self._losses.restart(param.average_loss)
        self._timer = time.perf_counter()
        self._displayed = start
        while self._iter < start + iterations:
            self._net.clear_param_diffs()
            if self._test_is_due():
                self._test_all()
                if self._stopped_early:
                    break
            with undisturbed(patient=False):
                self._iterate()
            request = self._ask_for_action()
            if is_root() and self._due(param.snapshot) or request is Action.SNAPSHOT:
                self.snapshot()
            if request is Action.STOP:
                self._stopped_early = True
                break

    def _iterate(self) -> None:
        """One iteration: all passes, and the update."""
        param = self._param
        for on_start, _ in self._callbacks:
            on_start()
        self._net.set_debug_info(param.debug_info and self._due(param.display))
        for _ in range(param.iter_size):
            self._net._release_unread()
            self._losses.add_pass(self._net.forward_loss())
            self._net.backward_all()
        self._losses.end_iteration(param.iter_size)
        if self._due(param.display):
            self._display()
        for _, on_gradients_ready in self._callbacks:
            on_gradients_ready()
        self.apply_update()

    def solve(self, resume_file: str | os.PathLike[str] | None = None) -> None:
        """Train to ``max_iter``, from ``resume_file`` on if given; then snapshot and test."""
        param = self._param
        glog.info("solver", f"Solving {self._net.name}")
        glog.info("solver", f"Learning Rate Policy: {param.lr_policy}")
        self._stopped_early = False
        if resume_file is not None:
            glog.info("solver", f"Restoring previous solver status from {os.fsdecode(resume_file)}")
            self.restore(resume_file)
        self.step(param.max_iter - self._iter)
        wanted = param.snapshot_after_train and is_root()
        if wanted and not self._due(param.snapshot):
            self.snapshot()
        if self._stopped_early:
            glog.info("solver", "Optimization stopped early.")
            return
        if self._due(param.display):
            self._losses.add_pass(self._net.forward_loss())
            self._losses.end_iteration()
            self._net.check_verdicts()
            glog.info("solver", f"Iteration {self._iter}, loss = {self._losses.mean():g}")
        if self._due(param.test_interval) and is_root():
            self._test_all()
        glog.info("solver", "Optimization Done.")

    def apply_update(self) -> None:
        """One update from the gradients as they are; advances :attr:`iter`."""
        rate, self._current_step = self._rate()
        if self._due(self._param.display):
            glog.info("sgd_solver", f"Iteration {self._iter}, lr = {rate:g}")
        with undisturbed():  # weights and their iteration change together
            self._update.apply(self._param, rate, self._iter)
            self._iter += 1

    def _due(self, interval: int) -> bool:
        return interval > 0 and self._iter % interval == 0

    def _test_is_due(self) -> bool:
        begun = self._iter > 0 or self._param.test_initialization
        return is_root() and begun and self._due(self._param.test_interval)

    def _rate(self) -> tuple[float, int]:
        before = self._current_step
        rate, step = learning_rate(self._param, self._iter, before)
        if self._param.lr_policy == "multistep" and step != before:
            glog.info("sgd_solver", f"MultiStep Status: Iteration {self._iter}, step = {step}")
        return rate, step

    def _display(self) -> None:
        self._net.check_verdicts()
        loss = self._losses.mean()  # waits for a GPU, so the time is that of finished iterations
        now = time.perf_counter()
        seconds = now - self._timer
        rate = (self._iter - self._displayed) / (seconds or 1)
        glog.info(
            "solver",
            f"Iteration {self._iter} ({rate:g} iter/s, {seconds:g}s/{self._param.display} iters), "
            f"loss = {loss:g}",
        )
        self._timer = now
        self._displayed = self._iter
        if glog.is_on():
            outputs = self._net.output_blobs
            log_outputs("Train", [(n, b.data_numbers().ravel(), w) for n, b, w in outputs])

    def _test_all(self) -> None:
        for k, net in enumerate(self._test_nets):
            if self._stopped_early:
                break
            glog.info("solver", f"Iteration {self._iter}, Testing net (#{k})")
            self.share_weights(net)
            batches = self._param.test_iter[k]
            run_test(
                net,
                batches,
                self._param.test_compute_loss,
                self._interrupted,
                self._param.ap_version,
                self._param.show_per_class_result,
            )

    def _interrupted(self) -> bool:
        """Do what was asked for since the last call; True where that includes to stop."""
        while (request := self._ask_for_action()) is not Action.NONE:
            if request is Action.SNAPSHOT:
                self.snapshot()
            else:
                self._stopped_early = True
        return self._stopped_early

    # For snapshots --------------------------------------------------------------------------------

    def history_shapes(self) -> list[tuple[int, ...]]:
        """The shapes of the history, in the order in which a solverstate holds it."""
        return self._update.history_shapes()

    def history_arrays(self) -> list[np.ndarray]:
        """The history: all first parts in layer order, then all second parts if there are two."""
        return self._update.history_arrays()

    def set_state(
        self, iteration: int, current_step: int, history: list[torch.Tensor | None]
    ) -> None:
        """Continue at ``iteration`` with the given history."""
        self._iter = iteration
        self._current_step = current_step
        self._update.history = list(history)


_SOLVERS: dict[str, type[Solver]] = {}


def register(type_name: str) -> Callable[[type[S]], type[S]]:
    """Class decorator: make a solver known under the ``type`` that a solver prototxt gives."""

    def add(cls: type[S]) -> type[S]:
        if type_name in _SOLVERS:
            raise SolverError(f"solver type '{type_name}' is registered twice")
        cls.type = type_name
        _SOLVERS[type_name] = cls
        return cls

    return add


@register("SGD")
class SGDSolver(Solver):
    """Stochastic gradient descent with momentum."""

    rule: rules.UpdateRule = rules.Sgd()


@register("Nesterov")
class NesterovSolver(SGDSolver):
    """Nesterov's accelerated gradient."""

    rule = rules.Nesterov()


@register("AdaGrad")
class AdaGradSolver(SGDSolver):
    """AdaGrad."""

    rule = rules.AdaGrad()


@register("RMSProp")
class RMSPropSolver(SGDSolver):
    """RMSProp."""

    rule = rules.RMSProp()


@register("AdaDelta")
class AdaDeltaSolver(SGDSolver):
    """AdaDelta."""

    rule = rules.AdaDelta()


@register("Adam")
class AdamSolver(SGDSolver):
    """Adam."""

    rule = rules.Adam()


def get_solver(solver_file: str | os.PathLike[str]) -> Solver:
    """The solver of the class that ``type`` in the file names.

    Raises:
        SolverError: an unknown type, or see :class:`Solver`.
    """
    source = os.fsdecode(solver_file)
    return from_param(read_solver(source), source)


def from_param(param: Any, source: str = "<solver>") -> Solver:
    """:func:`get_solver` for a SolverParameter that was read from ``source``."""
    cls = _SOLVERS.get(param.type)
    if cls is None:
        raise SolverError(
            f"{source}: Unknown solver type: {param.type!r} (known types: {', '.join(_SOLVERS)})."
            f"{did_you_mean(param.type, _SOLVERS)}"
        )
    return cls.from_param(param, source)
