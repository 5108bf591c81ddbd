"""``param_str`` of a data layer: a Python dict literal, read as data and checked key by key."""

import ast
import difflib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from segdata.errors import DataError

__all__ = ["numbers", "parse_params"]


def parse_params(
    text: str, required: Iterable[str], optional: Mapping[str, Any], layer: str
) -> dict[str, Any]:
    """The dict in ``text``, completed by the defaults in ``optional``.

    Raises DataError for text that is no dict literal, for missing and for unknown keys.
    ``literal_eval`` reads values only: a prototxt from elsewhere cannot run code here.
    """
    required = list(required)
    try:
        params = ast.literal_eval(text.strip() or "{}")
    except (ValueError, SyntaxError) as error:
        raise DataError(
            f"{layer}: param_str is not a Python dict literal ({error}): {text}"
        ) from error
    if not isinstance(params, dict):
        raise DataError(
            f"{layer}: expected a dict in param_str, received {type(params).__name__}: {text}"
        )
    missing = [key for key in required if key not in params]
    if missing:
        raise DataError(
            "{}: param_str lacks {}; required: {}; received: {}".format(
                layer, ", ".join(missing), ", ".join(required), text
            )
        )
    known = required + sorted(optional)
    for key in params:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, 1)
            raise DataError(
                "{}: unknown key '{}' in param_str{}; known: {}".format(
                    layer, key, f", did you mean '{near[0]}'?" if near else "", ", ".join(known)
                )
            )
    return dict(optional, **params)


def numbers(params: Mapping[str, Any], key: str, count: int, layer: str) -> np.ndarray:
    """``params[key]`` as ``count`` numbers, float64."""
    try:
        values = np.asarray(params[key], dtype=np.float64)
    except (TypeError, ValueError):
        values = np.empty(0)
    if values.shape != (count,):
        raise DataError(
            f"{layer}: expected {count} numbers for '{key}' in param_str; received {params[key]!r}"
        )
    return values
