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
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, cast

import numpy as np

from caffe.errors import Error
from caffe.ziggurat import normal

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
_BLOCK = 1 << 19  # words per block of normal numbers: what is done once a block does not count


class Generator:
    """An MT19937 with the distributions Caffe uses.  Every method draws words strictly in order.

    ``known`` is False while nobody can tell what the stream holds: it began from the operating
    system's entropy, and its position was never asked for.  Numbers may then come from any other
    stream as well.
    """

    def __init__(self, seed: int | None = None):
        self._mt = np.random.RandomState(0)
        self.seed(int.from_bytes(os.urandom(4), "little") if seed is None else seed)
        self.known = seed is not None

    def seed(self, seed: int) -> None:
        """Restart the stream.  As in Caffe only the low 32 bits of the seed count."""
        self._mt.seed(int(seed) & 0xFFFFFFFF)
        self.known = True

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

    def gaussian(
        self, mean: float, std: float, n: int, out: np.ndarray | None = None
    ) -> np.ndarray:
        """``n`` float32 numbers of the normal distribution, in ``out`` where it is given."""
        values = np.empty(n, _F32) if out is None else out
        done = 0
        with _Ahead(self) as ahead:
            while done < n:
                words = ahead.take(n - done)
                made, used = normal(words, values[done:], mean, std)
                if used < len(words):
                    ahead.give_back(used)
                done += made
        return values

    def bernoulli(self, p: float, n: int) -> np.ndarray:
        """``n`` bools, true with probability ``p``.  Nothing is drawn for p = 0, as in Boost."""
        if p == 0:
            return np.zeros(n, bool)
        return self.u32(n).astype(_F32) <= _F32(p) * _WORDS

    def state(self) -> str:
        """The position in the stream, as one line of JSON."""
        self.known = True
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
            self.known = True
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise Error(
                f"not a random state: {error}. Pass the string that get_random_state() returned."
            ) from error


class _Ahead:
    """Blocks of a generator's words; where PyTorch may use threads, one draws the next block
    while this one is used.

    When the ``with`` block ends, the generator stands after the last word that was used.
    """

    def __init__(self, generator: Generator):
        self._generator = generator
        self._spare = 16  # words beyond those that are likely to be needed
        self._taken: _Block | None = None
        self._next: Future[_Block] | None = None
        self._pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> _Ahead:
        return self

    def __exit__(self, *error: object) -> None:
        if self._next is not None:
            self._generator._mt.set_state(self._next.result().before)
        if self._pool is not None:
            self._pool.shutdown()

    def take(self, numbers: int) -> np.ndarray:
        """The next words, as many as ``numbers`` normal numbers may need, or a full block."""
        wanted = numbers + numbers // 32 + self._spare
        if self._next is not None:
            self._taken = self._next.result()
        else:
            self._taken = self._draw(min(_BLOCK, wanted))
        self._next = None
        wanted -= len(self._taken.words)
        if wanted > _BLOCK // 4 and self._may_use_a_thread():
            if self._pool is None:
                self._pool = ThreadPoolExecutor(1)
            self._next = self._pool.submit(self._draw, min(_BLOCK, wanted))
        self._spare *= 2
        return self._taken.words

    def give_back(self, used: int) -> None:
        """Only the first ``used`` words of the block last taken were used."""
        block = cast(_Block, self._taken)
        if self._next is not None:
            self._next.result()
            self._next = None
        self._generator._mt.set_state(block.before)
        self._generator.u32(used)

    @staticmethod
    def _may_use_a_thread() -> bool:
        import torch  # not at the top: the data tools draw too, and do without PyTorch

        return torch.get_num_threads() > 1

    def _draw(self, size: int) -> _Block:
        return _Block(self._generator._mt.get_state(), self._generator.u32(size))


class _Block(NamedTuple):
    before: Any  # the generator's state
    words: np.ndarray


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
