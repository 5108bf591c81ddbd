"""Caffe's shuffle: Fisher and Yates from the end, with Boost's whole numbers."""

from __future__ import annotations

import numpy as np

from caffe.rng import Generator

__all__ = ["shuffled"]

_LARGEST = 2**32 - 1  # of the words


def shuffled(order: np.ndarray, generator: Generator) -> np.ndarray:
    """The elements of ``order`` in a new order, as BVLC shuffles its lists.

    For i from the last place to the second, element i and element k of 0..i change places, where
    k is a word of the stream divided by 2^32 / (i + 1); words beyond are drawn anew.
    """
    places = np.arange(len(order) - 1, 0, -1, dtype=np.int64)
    # Boost 1.74, generate_uniform_int: the words fall into i + 1 buckets of this width.
    width = _LARGEST // (places + 1) + (_LARGEST % (places + 1) == places)
    chosen = np.empty_like(places)
    done, words = 0, np.empty(0, np.int64)
    while done < len(places):
        left = len(places) - done
        if len(words) < left:
            words = np.concatenate([words, generator.u32(left - len(words)).astype(np.int64)])
        found = words // width[done:]
        refused = np.flatnonzero(found > places[done:])
        good = int(refused[0]) if len(refused) else left
        chosen[done : done + good] = found[:good]
        done += good
        words = words[good + 1 :]  # the refused word is dropped
    result = list(order)
    for i, k in zip(places.tolist(), chosen.tolist()):
        result[i], result[k] = result[k], result[i]
    return np.array(result, np.asarray(order).dtype)
