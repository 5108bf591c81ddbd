"""The random numbers of one thread, as BVLC Caffe's CPU code draws them.

A Mersenne Twister (MT19937) gives 32-bit words, the stream of ``numpy.random.RandomState(seed)``;
everything else is made of those words the way Boost.Random 1.74 makes it, in float32.  Fillers,
Dropout and the mirror and crop of the data layers draw in layer order, so on the CPU a seed gives
BVLC's own weights and masks.

Each thread has its own generator, as each has its own mode and device: a new thread starts from the
operating system's entropy until it calls :func:`set_random_seed`.
"""

from __future__ import annotations

import json
import operator
import os
import threading

import numpy as np

from caffe.errors import Error
from caffe.ziggurat import unit_normal

__all__ = [
    "Generator",
    "get",
    "get_random_state",
    "set_random_seed",
    "set_random_state",
    "shuffled",
]

_F32 = np.float32
_WORDS = _F32(2.0**32)  # the words' range, 2^32 - 1, in float32
_LARGEST = 2**32 - 1  # of the words
_BLOCK = 1 << 18  # words per block of normal numbers: small enough for the cache


class Generator:
    """An MT19937 with the distributions Caffe uses.  Every method draws words strictly in order."""

    def __init__(self, seed: int | None = None):
        self._mt = np.random.RandomState(0)
        self.seed(int.from_bytes(os.urandom(4), "little") if seed is None else seed)

    def seed(self, seed: int) -> None:
        """Restart the stream.  As in Caffe only the low 32 bits of the seed count."""
        self._mt.seed(int(seed) & 0xFFFFFFFF)

    def u32(self, n: int) -> np.ndarray:
        """The next ``n`` words, uint32."""
        return self._mt.randint(0, 1 << 32, size=n, dtype=np.uint32)

    def uniform(self, lo: float, hi: float, n: int) -> np.ndarray:
        """``n`` float32 numbers in [lo, hi]: Caffe widens the upper end by one float32 step."""
        start = _F32(lo)
        end = np.nextafter(_F32(hi), _F32(np.finfo(_F32).max))
        parts = []
        while True:
            values = self.u32(n).astype(_F32)
            values /= _WORDS
            values *= end - start
            values += start
            inside = values < end
            if inside.all():  # all but about one number in 30 million
                parts.append(values)
                return parts[0] if len(parts) == 1 else np.concatenate(parts)
            parts.append(values[inside])
            n -= len(parts[-1])

    def gaussian(self, mean: float, std: float, n: int) -> np.ndarray:
        """``n`` float32 numbers of the normal distribution."""
        values = np.empty(n, _F32)
        done = 0
        spare = 16
        while done < n:
            left = n - done
            size = min(_BLOCK, left + left // 32 + spare)
            before = self._mt.get_state()
            numbers, used = unit_normal(self.u32(size), left)
            if used < size:  # give back what was not needed
                self._mt.set_state(before)
                self.u32(used)
            values[done : done + len(numbers)] = numbers
            done += len(numbers)
            spare *= 2
        values *= _F32(std)
        values += _F32(mean)
        return values

    def bernoulli(self, p: float, n: int) -> np.ndarray:
        """``n`` bools, true with probability ``p``.  Nothing is drawn for p = 0, as in Boost."""
        if p == 0:
            return np.zeros(n, bool)
        return self.u32(n).astype(_F32) <= _F32(p) * _WORDS

    def state(self) -> str:
        """The position in the stream, as one line of JSON."""
        words = self._mt.get_state(legacy=False)["state"]
        return json.dumps(
            {"generator": "MT19937", "position": int(words["pos"]), "key": words["key"].tolist()}
        )

    def set_state(self, state: str) -> None:
        """Continue exactly where :meth:`state` was taken."""
        try:
            fields = json.loads(state)
            if fields["generator"] != "MT19937":
                raise ValueError(f"generator is {fields['generator']!r}, expected 'MT19937'")
            key = np.array(fields["key"], np.uint32)
            if key.shape != (624,):
                raise ValueError(f"key has shape {key.shape}, expected (624,)")
            self._mt.set_state(("MT19937", key, int(fields["position"]), 0, 0.0))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise Error(
                f"not a random state: {error}. Pass the string that get_random_state() returned."
            ) from error


class _Local(threading.local):
    def __init__(self) -> None:
        self.generator = Generator()


_local = _Local()


def get() -> Generator:
    """The calling thread's generator."""
    return _local.generator


def set_random_seed(seed: int) -> None:
    """Reseed the calling thread's generator; a whole number."""
    get().seed(operator.index(seed))


def get_random_state() -> str:
    """The calling thread's position in its stream, to be kept beside a snapshot."""
    return get().state()


def set_random_state(state: str) -> None:
    """Continue the calling thread's stream at a position from :func:`get_random_state`."""
    get().set_state(state)


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
