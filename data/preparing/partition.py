"""Which images are trained on and which validated on: by a share, or by lists."""

import hashlib
import os

__all__ = ["listed", "split"]


def split(pairs: list, share: float) -> tuple[list, list]:
    """Training and validation pairs: by a hash of the name, so that more images move few."""
    ranked = sorted(pairs, key=lambda pair: hashlib.sha256(pair[0].encode()).digest())
    count = min(max(int(round(share * len(pairs))), 1), len(pairs) - 1)
    chosen = set(ranked[:count])
    return [p for p in pairs if p not in chosen], [p for p in pairs if p in chosen]


def listed(pairs: list, path: str) -> list:
    """The pairs that a list names, in its order: an image a line, with or without its ending."""
    from segdata.errors import DataError
    from segdata.splits import read_lines

    known = {}
    for pair in pairs:
        stem = os.path.splitext(pair[0])[0]
        known[pair[0]] = known[stem] = pair
        known.setdefault(os.path.basename(pair[0]), pair)
        known.setdefault(os.path.basename(stem), pair)
    names = [line.split("\t")[0] for line in read_lines(path)]
    missing = [name for name in names if name not in known]
    if not names:
        raise DataError(f"'{path}' is empty")
    if missing:
        raise DataError(
            f"'{path}' names {len(missing)} images that are not there or have no mask, the first "
            f"is '{missing[0]}'"
        )
    return [known[name] for name in names]
