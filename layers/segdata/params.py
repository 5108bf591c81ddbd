"""``param_str`` of a data layer: a Python dict literal, read as data and checked key by key."""

import ast
import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from segdata.errors import DataError

__all__ = ["numbers", "parse_params"]

#: What the keys that several layers share hold: text, a switch, or a whole number in a range.
_KINDS: dict[str, Any] = {
    "split": "text",
    "randomize": "True or False",
    "mirror": "True or False",
    "cache": "True or False",
    "seed": (-(2**63), 2**63 - 1),
    "classes": (1, 255),
    "batch_size": (1, 2**31 - 1),
    "workers": (1, 1024),
}
#: Those among them that must be given a value.
_NEEDED = ("split", "randomize", "mirror", "cache", "batch_size", "workers")


def parse_params(
    text: str, required: Iterable[str], optional: Mapping[str, Any], layer: str
) -> dict[str, Any]:
    """The dict in ``text``, completed by the defaults in ``optional``.

    Raises DataError for text that is no dict literal, for missing and for unknown keys.
    ``literal_eval`` reads values only: a prototxt from elsewhere cannot run code here.
    """
    required = list(required)
    if _is_deep(text):
        raise DataError(f"{layer}: param_str is nested too deeply: {text[:500]}")
    try:
        params = ast.literal_eval(text.strip() or "{}")
    # Deep nesting is told as RecursionError or MemoryError, a list as a key as TypeError.
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError) as error:
        raise DataError(
            f"{layer}: param_str is not a Python dict literal ({error}): {text[:500]}"
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
    params = dict(optional, **params)
    for key, value in params.items():
        _check_kind(key, value, layer)
    return params


def _is_deep(text: str) -> bool:
    """Whether values are nested so deeply that Python 3.9's parser would end the process."""
    depth = deepest = 0
    for letter in text:
        depth += (letter in "([{") - (letter in ")]}")
        deepest = max(deepest, depth)
    return deepest > 50 or re.search(r"(?:[-+~]\s*|not\s+){50}", text) is not None


def _check_kind(key: str, value: Any, layer: str) -> None:
    """Raise for a value whose type no layer can use; None stands for what is not given."""
    kind: Any = "text" if key == "root" or key.endswith("_dir") else _KINDS.get(key)
    if kind is None or (value is None and key not in _NEEDED):
        return
    if kind == "text":
        fits = isinstance(value, str) and "\0" not in value
    elif kind == "True or False":
        fits = value in (0, 1) if isinstance(value, (bool, int)) else False
    else:
        low, high = kind
        fits = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
        kind = f"a whole number from {low} to {high}"
    if not fits:
        raise DataError(
            f"{layer}: expected {kind} for '{key}' in param_str; received {repr(value)[:200]}"
        )


def numbers(params: Mapping[str, Any], key: str, count: int, layer: str) -> np.ndarray:
    """``params[key]`` as ``count`` numbers, float64."""
    try:
        values = np.asarray(params[key], dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        values = np.empty(0)
    if values.shape != (count,) or not np.isfinite(values).all():
        raise DataError(
            f"{layer}: expected {count} numbers for '{key}' in param_str; received "
            f"{repr(params[key])[:200]}"
        )
    return values
