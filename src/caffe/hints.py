"""The one wording of "did you mean": what a message adds where a name is unknown."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["did_you_mean", "nearest"]


def nearest(name: str, known: Iterable[str], count: int = 1, least: float = 0.6) -> list[str]:
    """The known names that ``name`` may be a misspelling of, best first, upper and lower case
    being the same: at most ``count``, none where nothing is as near as ``least`` (1 is equal)."""
    by_folded: dict[str, str] = {}
    for candidate in known:
        by_folded.setdefault(candidate.casefold(), candidate)
    near = get_close_matches(name.casefold(), by_folded, count, least)
    return [by_folded[folded] for folded in near]


def did_you_mean(name: str, known: Iterable[str], count: int = 1, quote: str = "'") -> str:
    """A sentence to append to a message, empty where no known name is near.

    >>> did_you_mean("Convolutoin", ["Convolution", "Pooling"])
    " Did you mean 'Convolution'?"
    """
    near = nearest(name, known, count)
    return f" Did you mean {' or '.join(quote + n + quote for n in near)}?" if near else ""
