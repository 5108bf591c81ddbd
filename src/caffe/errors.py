"""The exceptions of the engine.

BVLC Caffe aborts the process on a failed check; here every failure is one exception that says
what is wrong, where, what was expected, what was received and what to do.  All of them derive
from :class:`Error`, itself a ``RuntimeError``, because pycaffe raises ``RuntimeError`` for the few
failures that it reports at all (a missing model file, for one).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

__all__ = [
    "DataError",
    "DeviceError",
    "Error",
    "LayerError",
    "PrototxtError",
    "ShapeError",
    "SolverError",
    "WeightsError",
    "naming",
]


class Error(RuntimeError):
    """Base of everything the engine raises on purpose."""


class PrototxtError(Error):
    """A net or solver description that cannot be read or makes no valid graph."""


class LayerError(Error):
    """A layer that is unknown, wrongly configured, or asked for what it cannot do."""


class ShapeError(LayerError):
    """Blobs whose shapes do not fit a layer."""


class WeightsError(Error):
    """A weights or solver-state file that is missing, damaged or does not fit the net."""


class DataError(Error):
    """Input data that is missing, unreadable or out of range."""


class DeviceError(Error):
    """A device that is not there or cannot be used."""


class SolverError(Error):
    """A solver setting that is missing, contradictory or out of range."""


@contextlib.contextmanager
def naming(layer: Any) -> Iterator[None]:
    """Name the layer in the engine's errors that do not: those of blobs, fillers and files."""
    try:
        yield
    except Error as error:
        name_in(error, layer)
        raise


def name_in(error: Error, layer: Any) -> None:
    """Put the layer's name before the error's text, where it is not in it."""
    text = str(error)
    if f"'{layer.name}'" not in text:
        error.args = (f"layer '{layer.name}' (type {layer.type}): {text}", *error.args[1:])
