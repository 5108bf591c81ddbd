"""The Layer contract and the registry of layer types.

How to add a layer: one file here, one test of the same name in ``tests/caffe/layer``.  The file
holds a class decorated with :func:`register`::

    @register("AbsVal")
    class AbsVal(Layer):
        def reshape(self, bottom_shapes):
            return [bottom_shapes[0]]

        def forward(self, bottoms, params):
            return [bottoms[0].abs()]

Nothing else has to be edited: the package imports every module beside this one (types that BVLC
Caffe does not have are in the sub-package ``extensions``).  Arity, in-place
use and which bottoms can receive a gradient are class attributes, checked once by the net.

A layer computes from the blobs' *current* contents, as BVLC's do: ``forward`` gets the bottoms,
``backward`` gets bottoms, tops and top diffs as they are then, whatever a user wrote into them in
between.  Nothing keeps an autograd graph from one call to the next.  What the arithmetic needs
beyond the blobs (a dropout mask, an argmax) is the layer's own state, an attribute.

On a GPU a pass never waits for the device: no ``.item()``, no ``bool(tensor)``, no result whose
shape depends on values.  What the host has to do in a pass (draw a random seed, check labels that
lie in its memory) goes into ``before_forward``; what only the device can find out goes into
``verdict``, which is read when something is displayed anyway.

Most layers work on tensors.  The few that deal in blobs themselves, because they share memory
between them or run user code (Split, Reshape, Python, ...), override ``reshape_blobs``,
``forward_blobs`` and ``backward_blobs`` instead.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar

import torch

from caffe import rng
from caffe.errors import Error, LayerError, ShapeError
from caffe.hints import did_you_mean

if TYPE_CHECKING:
    from caffe.blob import Blob

__all__ = ["Layer", "Need", "class_of", "create", "register", "type_list"]

Shape = tuple[int, ...]
Tensors = list[torch.Tensor]
MaybeTensors = list["torch.Tensor | None"]
E = TypeVar("E", bound=Error)

_registry: dict[str, type[Layer]] = {}


class Need(NamedTuple):
    """Which gradients a backward call is asked for: one flag a bottom, one flag a parameter."""

    bottoms: tuple[bool, ...]
    params: tuple[bool, ...]


class Layer:
    """One node of a net.  Subclasses declare arity and implement ``reshape`` and ``forward``.

    Class attributes:
        type: the type string of prototxts, set by :func:`register`.
        bottoms, tops: how many are allowed: a number, or ``(least, most)`` with None for no limit.
        equal_counts: True where there must be as many tops as bottoms.
        refuses_in_place: True where BVLC aborts on top == bottom.
        is_loss: True for the loss family, whose first top has the loss weight 1 by default.
        no_gradient: indices of the bottoms that never get a gradient, also under
            ``force_backward`` (the labels of a loss).
        leaves_out_no_gradient: True for a loss that leaves the gradient of such a bottom out where
            it is asked for, as when layers that learn come before it; other losses refuse.
        differentiable: False where no bottom can get a gradient (Accuracy, ArgMax).
        graphable: False where a pass cannot be captured into a CUDA graph: it runs user code, reads
            on the host, has tops whose shapes depend on values, or keeps state in inner layers.
        any_precision: True where forward and backward are right on bfloat16 tensors as they come.
            Other layers get float32 bottoms, tops and top diffs.  Parameters are always float32.
        reads_tops: False where ``backward`` does not look at the tops' data, and gets none: what a
            step of the net has left out of it (net/norm_step.py) is then not computed.
        not_exported: why ``caffe export`` refuses layers of this type; "" where it need not, since
            a function in ``caffe/export`` writes them.

    Instance attributes, set before ``setup``:
        param: the layer's ``LayerParameter``.
        phase: 0 in training, 1 in testing.
        blobs: the parameter blobs; ``setup`` makes them with :meth:`add_blob`.
        num_bottoms, num_tops: how many this net uses.
        in_place: True where top 0 is bottom 0; then forward may overwrite its input.
        variant: what ``before_forward`` or ``before_backward`` decided about how the pass is
            computed; passes that differ in it have CUDA graphs of their own.
        verdict: what a check on the device found, an int64 scalar there, 0 while all is well; None
            in a layer without such a check.
    """

    type: ClassVar[str] = ""
    bottoms: int | tuple[int, int | None] = 1  # of the class, unless its settings decide
    tops: int | tuple[int, int | None] = 1
    equal_counts: ClassVar[bool] = False
    refuses_in_place: ClassVar[bool] = False
    is_loss: ClassVar[bool] = False
    no_gradient: ClassVar[frozenset[int]] = frozenset()
    leaves_out_no_gradient: ClassVar[bool] = False
    differentiable: ClassVar[bool] = True
    graphable: bool = True
    any_precision: bool = False
    reads_tops: bool = True
    not_exported: ClassVar[str] = ""

    def __init__(self, param: Any, phase: int) -> None:
        from caffe.blob import BlobVec

        self.param = param
        self.phase = phase
        self.blobs: BlobVec = BlobVec()
        self.num_bottoms = len(param.bottom)
        self.num_tops = len(param.top)
        self.in_place = bool(param.bottom) and bool(param.top) and param.bottom[0] == param.top[0]
        self.variant: Hashable = None
        self.verdict: torch.Tensor | None = None

    # What a layer file implements -----------------------------------------------------------

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        """Check the settings and make the parameter blobs; called once, before ``reshape``."""

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        """The shapes of the tops for these bottoms.  Called before every forward; raises
        :class:`ShapeError` through :meth:`fail` where the bottoms do not fit."""
        raise LayerError(f"layer type '{self.type}' does not define its output shapes")

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        """The tops, one tensor each, of exactly the shapes that ``reshape`` gave.

        Tensors are float32 on the compute device, logical N x C x H x W, possibly channels-last
        in memory.  Return memory of your own: never a bottom nor a view of one (the net copies
        such a result).  With ``self.in_place`` the first bottom may be overwritten and returned.
        """
        raise LayerError(f"layer type '{self.type}' has no forward pass")

    def backward(
        self, tops: Tensors, top_diffs: Tensors, bottoms: Tensors, params: Tensors, need: Need
    ) -> tuple[MaybeTensors, MaybeTensors]:
        """Gradients for the bottoms and for the parameters, None where not needed.

        The net overwrites bottom diffs with the former and adds the latter to the parameter
        diffs.  This default is the vector-Jacobian product of ``forward`` at the bottoms'
        current contents: right for every layer whose gradient in Caffe is the mathematical one
        and needs the bottoms alone.  With in-place use the bottoms hold the top's values, as in
        BVLC; a layer that must work in place uses ``tops`` or its own state instead.
        """
        inputs = [t.detach() for t in bottoms]
        weights = [t.detach() for t in params]
        wanted = [t for t, n in zip(inputs, need.bottoms) if n]
        wanted += [t for t, n in zip(weights, need.params) if n]
        if not wanted:
            return [None] * len(inputs), [None] * len(weights)
        with torch.enable_grad():
            for t in wanted:
                t.requires_grad_(True)
            outputs = self.forward(inputs, weights)
            used = [(o, d) for o, d in zip(outputs, top_diffs) if o.requires_grad]
            grads = torch.autograd.grad(
                [o for o, _ in used], wanted, [d for _, d in used], allow_unused=True
            )
        filled = iter(
            torch.zeros_like(w) if g is None else g.detach() for w, g in zip(wanted, grads)
        )
        return (
            [next(filled) if n else None for n in need.bottoms],
            [next(filled) if n else None for n in need.params],
        )

    def before_forward(self, bottom: list[Blob]) -> None:
        """The host's part of a forward pass; the net calls it right before every forward pass of
        this layer, also where the pass itself is replayed from a CUDA graph.

        For random seeds drawn from Caffe's stream, and checks of labels that lie on the host.
        """

    def before_backward(self, bottom: list[Blob]) -> None:
        """The same for a backward pass: for what :meth:`before_forward` has read of blobs that a
        user may have written since."""

    def generators(self) -> list[torch.Generator]:
        """The device's random generators that ``forward`` draws from; a CUDA graph of the layer
        registers them."""
        return []

    def renew_generators(self) -> None:
        """Put new generators of the same seeds in the place of :meth:`generators`: a capture that
        failed leaves the old ones unusable."""

    def raise_verdict(self) -> None:
        """Raise the layer's error if a check on the device has failed since the last call.

        Reads :attr:`verdict`, so it waits for the device.
        """

    def move_state(self, where: torch.device) -> None:
        """Take the tensors that were kept from an earlier pass to another device.

        The net calls it when it is to run on another device than before.  Blobs follow by
        themselves; random generators belong to one device, so a layer asks for its own by device.
        """
        for name, value in vars(self).items():
            setattr(self, name, _moved(value, where))

    def overwrites_param_diff(self, index: int) -> bool:
        """True where Caffe assigns a parameter's gradient instead of adding it (Scale, by a
        quirk that breaks ``iter_size``; see its file)."""
        return False

    # Tools for layer files --------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The layer's name in the prototxt."""
        name: str = self.param.name
        return name

    def fail(
        self,
        message: str,
        error: Callable[[str], E] = ShapeError,  # type: ignore[assignment]  # mypy issue 3737
    ) -> E:
        """An exception that names this layer: ``raise self.fail("...")``."""
        return error(f"layer '{self.name}' (type {self.type}): {message}")

    def axis(self, index: int, ndim: int, what: str = "axis") -> int:
        """``index`` with negative values counted from the end; raises where out of range."""
        if not -ndim <= index < ndim:
            raise self.fail(f"{what} {index} out of range for a blob of {ndim} axes")
        return index % ndim

    def add_blob(self, shape: Sequence[int], filler: Any = None) -> None:
        """Add a parameter blob: filled by a ``FillerParameter``, zero where it is None.  Blobs
        stored in the prototxt itself win over the filler, as in Caffe."""
        from caffe import filler as fillers
        from caffe.blob import Blob

        blob = Blob(shape)
        self.blobs.append(blob)
        zero = filler is None or (filler.type == "constant" and filler.value == 0)
        if zero or self.param.blobs:  # a new blob is zero already, at no cost
            return
        write = fillers.prepare(blob.dims, filler)
        if filler.type in fillers.RANDOM and not rng.get().known:
            dims = blob.dims
            blob.fill_later(lambda flat: write(flat.reshape(dims), rng.Generator()))
        else:
            write(blob.data, rng.get())

    # What the net calls -------------------------------------------------------------------------

    def check_counts(self) -> None:
        """Arity and in-place use, as declared; raises :class:`LayerError`."""
        for what, allowed, got in (
            ("bottom", self.bottoms, self.num_bottoms),
            ("top", self.tops, self.num_tops),
        ):
            least, most = (allowed, allowed) if isinstance(allowed, int) else allowed
            if got < least or (most is not None and got > most):
                if least == most:
                    expected = f"exactly {least}"
                else:
                    expected = f"at least {least}" if most is None else f"{least} to {most}"
                raise self.fail(f"takes {expected} {what} blob(s), got {got}", LayerError)
        if self.equal_counts and self.num_bottoms != self.num_tops:
            raise self.fail(
                f"needs as many tops as bottoms, got {self.num_bottoms} bottom(s) and "
                f"{self.num_tops} top(s)",
                LayerError,
            )
        if self.refuses_in_place and self.in_place:
            raise self.fail("cannot work in place: give the top a name of its own", LayerError)

    def setup_blobs(self, bottom: list[Blob], top: list[Blob]) -> None:
        """Set up for these bottoms; the tops' shapes follow from :meth:`reshape_blobs`."""
        self.setup([b.dims for b in bottom])

    def reshape_blobs(self, bottom: list[Blob], top: list[Blob]) -> None:
        """Give the tops their shapes."""
        for blob, shape in zip(top, self.reshape([b.dims for b in bottom])):
            blob.set_dims(shape)

    def forward_blobs(self, bottom: list[Blob], top: list[Blob]) -> None:
        """Compute the tops' data from the bottoms' data."""
        bottoms = self._in_precision(bottom)
        if self.in_place:
            bottoms[0] = bottom[0].data_storage.to_overwrite(bottoms[0])
        params = [b.data_tensor() for b in self.blobs]
        results = self.forward(bottoms, params)
        for i, (blob, result) in enumerate(zip(top, results)):
            if not (self.in_place and i == 0):
                result = _own_memory(result, bottoms)
            blob.set_data(result)

    def backward_blobs(self, top: list[Blob], need: Need, bottom: list[Blob]) -> None:
        """Overwrite the bottoms' diffs and add to the parameters' diffs, where needed."""
        if not self.differentiable:
            if any(need.bottoms):
                raise self.fail("has no backward pass (not differentiable)", LayerError)
            return  # `caffe time` runs every layer's backward pass, needed or not
        bottoms = self._in_precision(bottom)
        # A blob that was read or written since the forward pass is float32, others are not.
        kind = bottoms[0].dtype if bottoms else torch.float32
        tops = [_as(kind, t) for t in self._in_precision(top)] if self.reads_tops else []
        top_diffs = [_as(kind, b.diff_tensor()) for b in top]
        if self.in_place:
            top_diffs[0] = top[0].diff_storage.to_overwrite(top_diffs[0])
        params = [b.data_tensor() for b in self.blobs]
        bottom_diffs, param_diffs = self.backward(tops, top_diffs, bottoms, params, need)
        for blob, diff in zip(bottom, bottom_diffs):
            if diff is not None:
                diff = diff if self.in_place else _own_memory(diff, top_diffs)
                blob.set_diff(_as(blob.data_tensor().dtype, diff))  # the precision of the data
        for i, (blob, diff) in enumerate(zip(self.blobs, param_diffs)):
            if diff is None:
                continue
            diff = _as(torch.float32, _own_memory(diff, top_diffs))
            if self.overwrites_param_diff(i):
                blob.set_diff(diff)
            else:
                blob.add_diff(diff)

    def _in_precision(self, blobs: list[Blob]) -> Tensors:
        """The blobs' data as this layer may compute with it."""
        if self.any_precision:
            return [b.data_tensor() for b in blobs]
        return [_as(torch.float32, b.data_tensor()) for b in blobs]


def _as(kind: torch.dtype, value: torch.Tensor) -> torch.Tensor:
    """``value.to(kind)``, without the call where it is that already."""
    return value if value.dtype is kind else value.to(kind)


def _moved(value: Any, where: torch.device) -> Any:
    """``value`` with the tensors in it, if there are any, on the device ``where``."""
    if isinstance(value, torch.Tensor):
        return value.to(where)
    if isinstance(value, Layer):  # one that a layer is made of
        value.move_state(where)
    if type(value) in (list, dict) or isinstance(value, tuple):
        items = list(value.values() if isinstance(value, dict) else value)
        moved = [_moved(item, where) for item in items]
        if all(new is old for new, old in zip(moved, items)):
            return value
        if isinstance(value, dict):
            return dict(zip(value, moved))
        return type(value)(*moved) if hasattr(value, "_fields") else type(value)(moved)
    return value


def _own_memory(result: torch.Tensor, inputs: Tensors) -> torch.Tensor:
    """``result``, copied if it lives in the memory of one of ``inputs``."""
    if result.numel() == 0:
        return result
    memory = result.untyped_storage().data_ptr()
    for t in inputs:
        if t.untyped_storage().data_ptr() == memory and t.numel():
            # Also of a part of the channels, in the layout of the whole: the next layer's is that.
            last = result.ndim == 4 and result.stride(1) == 1 and result.shape[1] > 1
            layout = torch.channels_last if last else torch.contiguous_format
            return result.clone(memory_format=layout)
    return result


def register(type_name: str) -> Callable[[type[Layer]], type[Layer]]:
    """Class decorator: make a layer class known under Caffe's type string."""

    def add(cls: type[Layer]) -> type[Layer]:
        if type_name in _registry:
            raise LayerError(f"layer type '{type_name}' is registered twice")
        cls.type = type_name
        _registry[type_name] = cls
        return cls

    return add


def create(param: Any, phase: int) -> Layer:
    """The layer that a ``LayerParameter`` describes; raises :class:`LayerError`."""
    _load_all()
    if param.type not in _registry:
        from caffe.prototxt.forks import origin_of_type

        raise LayerError(
            f"layer '{param.name}': Unknown layer type: '{param.type}'."
            f"{origin_of_type(param.type) or did_you_mean(param.type, _registry, 3)} "
            f"(known types: {', '.join(sorted(_registry))})"
        )
    layer = _registry[param.type](param, phase)
    return layer


def class_of(type_name: str) -> type[Layer]:
    """The class of a registered type; raises KeyError for any other name."""
    _load_all()
    return _registry[type_name]


def type_list() -> list[str]:
    """The registered type names, sorted (``caffe.layer_type_list()``): BVLC's, and those that
    :func:`caffe.layer.extensions.type_list` names."""
    _load_all()
    return sorted(_registry)


@functools.cache
def _load_all() -> None:
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
