"""Python: a layer that the user writes as a class, found by module and class name."""

from __future__ import annotations

import importlib
import sys
from abc import ABCMeta
from typing import Any

from caffe import glog
from caffe.blob import Blob, BlobVec, RawBlobVec
from caffe.errors import LayerError
from caffe.layer import Layer, Need, register
from caffe.vectors import BoolVec, Vector

__all__ = ["LayerVec", "Python", "PythonLayer"]

# Layers that published prototxts name, by module and class, and where the engine has its own.
_RCNN = "caffe.layer.extensions._py_faster_rcnn"
BUILT_IN = {
    ("rpn.proposal_layer", "ProposalLayer"): _RCNN,
    ("rpn.anchor_target_layer", "AnchorTargetLayer"): f"{_RCNN}_targets",
    ("rpn.proposal_target_layer", "ProposalTargetLayer"): f"{_RCNN}_targets",
}
# Modules of published training prototxts that are not built in: what they are.
PUBLISHED = {
    "roi_data_layer.layer": (
        "it is py-faster-rcnn's, reads its databases of images and boxes, and is written for "
        "Python 2: put its folder lib, ported to Python 3, on PYTHONPATH; or write a Python layer "
        "of this name whose tops are the image (1 x 3 x H x W), its size im_info (height, width, "
        "scale) and gt_boxes (G x 5: x1, y1, x2, y2, class)"
    ),
}


class PythonLayer(metaclass=ABCMeta):
    """Base class of user layers, public as ``caffe.Layer``; built-in layers count as instances.

    A subclass defines ``setup(bottom, top)``, ``reshape(bottom, top)``, ``forward(bottom, top)``
    and ``backward(top, propagate_down, bottom)``; bottom and top are lists of blobs.  A subclass
    with an ``__init__(self, p)`` of its own calls this one with ``p``.

    Attributes:
        param_str: the text of ``python_param``; data, for ``ast.literal_eval`` or ``json``.  It
            and ``phase`` are set between ``__init__`` and ``setup``.
        phase: ``caffe.TRAIN`` (0) or ``caffe.TEST`` (1).
        blobs: the layer's parameters; add one with ``self.blobs.add_blob(*shape)`` in ``setup``.

    Where several solvers train together each has a layer of its own, and nothing splits the data
    between them, as in BVLC Caffe: a data layer takes every ``caffe.solver_count()``-th item from
    ``caffe.solver_rank()`` on, or adds the rank to the seed of its random order.
    """

    type = "Python"
    param_str: str
    phase: int
    _blobs: BlobVec

    def __new__(cls, *args: Any, **kwargs: Any) -> PythonLayer:
        self = super().__new__(cls)
        self._blobs = BlobVec()
        return self

    @property
    def blobs(self) -> BlobVec:
        return self._blobs

    def __init__(self, p: Any) -> None:  # noqa: B027 - nothing is abstract here
        """``p`` is opaque: pass it on."""

    def setup(self, bottom: list[Blob], top: list[Blob]) -> None:
        raise self._missing("setup(self, bottom, top)")

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        raise self._missing("reshape(self, bottom, top)")

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        raise self._missing("forward(self, bottom, top)")

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        raise self._missing("backward(self, top, propagate_down, bottom)")

    def _missing(self, method: str) -> LayerError:
        cls = type(self)
        return LayerError(f"the Python layer {cls.__module__}.{cls.__name__} must define {method}")


PythonLayer.register(Layer)  # for isinstance(net.layers[i], caffe.Layer), as in pycaffe


class LayerVec(Vector):
    """Layers: ``net.layers``."""

    @classmethod
    def element(cls, value: Any) -> Any:
        if not isinstance(value, PythonLayer):  # built-in layers count as instances
            raise cls.refusal(value, "layers")
        return value


@register("Python")
class Python(Layer):
    """The engine's side of a user's layer: ``user`` is the user's own instance.

    Naming a module runs its code, as ``import`` does.  What the user's methods raise reaches the
    caller unchanged.  A few layers of published nets are built in (:data:`BUILT_IN`), for where
    their module is not found.
    """

    not_exported = "its code is Python, which no graph holds"
    graphable = False
    bottoms = (0, None)
    tops = (0, None)

    def __init__(self, param: Any, phase: int) -> None:
        super().__init__(param, phase)
        self.user: PythonLayer = self._find_class()(param)
        self.user.param_str = param.python_param.param_str
        self.user.phase = phase
        self.blobs = self.user.blobs

    def setup_blobs(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.user.setup(RawBlobVec(bottom), RawBlobVec(top))
        self.blobs = self.user.blobs

    def reshape_blobs(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.user.reshape(RawBlobVec(bottom), RawBlobVec(top))

    def forward_blobs(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.user.forward(RawBlobVec(bottom), RawBlobVec(top))

    def backward_blobs(self, top: list[Blob], need: Need, bottom: list[Blob]) -> None:
        self.user.backward(RawBlobVec(top), BoolVec(need.bottoms), RawBlobVec(bottom))

    def _find_class(self) -> type[PythonLayer]:
        p = self.param.python_param
        wanted = f"python_param {{ module: '{p.module}' layer: '{p.layer}' }}"
        if not p.module or not p.layer:
            raise self.fail(f"needs a module and a layer: {wanted}", LayerError)
        try:
            module = importlib.import_module(p.module)
        except ModuleNotFoundError as error:
            built_in = self._built_in(error)
            if built_in is not None:
                return built_in
            if error.name is None or not f"{p.module}.".startswith(f"{error.name}."):
                why = f"module '{p.module}' needs '{error.name}', which is not installed"
            else:
                why = (
                    f"no module named '{p.module}' in {[d or '.' for d in sys.path]}; add its "
                    "folder to PYTHONPATH or sys.path"
                )
            if p.module in PUBLISHED:
                why = f"no module named '{p.module}': {PUBLISHED[p.module]}"
            raise self.fail(f"{wanted}: {why}", LayerError) from error
        except Exception as error:
            ours = ""
            if (p.module, p.layer) in BUILT_IN:
                ours = "; without that module on the path, the layer that is built in here is used"
            raise self.fail(
                f"{wanted}: importing '{p.module}' failed with {type(error).__name__}: {error}"
                f"{ours}",
                LayerError,
            ) from error
        where = getattr(module, "__file__", None) or "built in"
        try:
            cls: type[PythonLayer] = getattr(module, p.layer)
        except AttributeError as error:
            known = [n for n, c in vars(module).items() if _is_layer_class(c)]
            raise self.fail(
                f"{wanted}: module '{p.module}' ({where}) has no class '{p.layer}'; its layers "
                f"are {known or 'none'}",
                LayerError,
            ) from error
        if not _is_layer_class(cls):
            raise self.fail(
                f"{wanted}: '{p.layer}' in {where} is no subclass of caffe.Layer", LayerError
            )
        return cls

    def _built_in(self, error: ModuleNotFoundError) -> type[PythonLayer] | None:
        """The engine's own layer of this name, where the user's module is not there at all."""
        p = self.param.python_param
        module = BUILT_IN.get((p.module, p.layer))
        if module is None or error.name is None or not f"{p.module}.".startswith(f"{error.name}."):
            return None
        glog.info(
            "python", f"{self.name}: no module named {p.module}; {p.layer} is the one built in here"
        )
        found: type[PythonLayer] = getattr(importlib.import_module(module), p.layer)
        return found


def _is_layer_class(value: Any) -> bool:
    """True for a proper subclass; issubclass would count built-in layers too."""
    return isinstance(value, type) and PythonLayer in value.__mro__[1:]
