"""Normal numbers as Boost.Random draws them, so that a seed gives BVLC Caffe's own weights.

The method is Marsaglia and Tsang's ziggurat ("The Ziggurat Method for Generating Random Variables",
2000): the area under ``f(x) = exp(-x*x/2)``, ``x >= 0``, is covered by 128 layers of equal area.
One 32-bit word picks the layer (8 low bits, the lowest being the sign) and a point in it (24 high
bits).  Almost 99 % of the words end there.  The others take a second word to test the wedge between
a layer and the curve, or go to the tail, which is drawn from two exponential numbers by a second
ziggurat of 256 layers.

Float32 throughout, like ``boost::normal_distribution<float>``, so the numbers agree bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

__all__ = ["normal"]

_F32 = np.float32
_POINT = _F32(2.0**-24)  # what the 24 high bits of a word count in
_WORD = _F32(2.0**-32)  # what a whole word counts in, as a number in [0, 1)

NORMAL_START = 3.4426198558966521214  # where the tail of the normal begins, for 128 layers
EXPONENTIAL_START = 7.6971174701310497203  # the same for the exponential, for 256 layers


class _Table:
    """Corners of the layers: ``x`` falls from the base layer's width to 0, ``y`` rises to f(0) = 1.

    Each layer has area ``area``; the base layer holds the tail too, so its width is
    ``area / f(start)``, wider than the curve.
    """

    def __init__(self, layers: int, start: float, area: float, f: Callable, inverse: Callable):
        x = [area / f(start), start]
        y = [0.0, f(start)]
        while len(x) < layers:
            y.append(y[-1] + area / x[-1])
            x.append(inverse(y[-1]))
        x.append(0.0)
        y.append(1.0)
        wide = np.array(x)
        high = np.array(y)
        self.x = wide.astype(_F32)
        self.y = high.astype(_F32)
        self.step_x = (wide[:-1] - wide[1:]).astype(_F32)
        self.step_y = (high[1:] - high[:-1]).astype(_F32)
        # A float32 is below the float64 corner exactly if it is below the next float32 upwards.
        limit = self.x[1:].copy()
        low = limit.astype(np.float64) < wide[1:]
        limit[low] = np.nextafter(limit[low], _F32(np.inf))
        self.limit = limit
        self.convex = wide[:-1] >= 1.0  # exp(-x*x/2) bends at x = 1


_NORMAL = _Table(
    128,
    NORMAL_START,
    NORMAL_START * math.exp(-0.5 * NORMAL_START**2)
    + math.sqrt(0.5 * math.pi) * math.erfc(NORMAL_START / math.sqrt(2.0)),
    lambda x: math.exp(-0.5 * x * x),
    lambda y: math.sqrt(-2.0 * math.log(y)),
)
_EXPONENTIAL = _Table(
    256,
    EXPONENTIAL_START,
    (EXPONENTIAL_START + 1.0) * math.exp(-EXPONENTIAL_START),
    lambda x: math.exp(-x),
    lambda y: -math.log(y),
)


def _rough_from() -> np.ndarray:
    """The word, for each low byte, from which on a point may lie above the curve: about 1.2 % of
    all words.  The largest float32 product below a layer's limit is found by halving."""
    low, high = np.zeros(128, np.int64), np.full(128, 2**24)
    while (low < high).any():
        middle = (low + high) // 2
        above = middle.astype(_F32) * _POINT * _NORMAL.x[:128] >= _NORMAL.limit
        low, high = np.where(above, low, middle + 1), np.where(above, middle, high)
    return (low << 8).astype(np.uint32).repeat(2)


_ROUGH_FROM = _rough_from()
# What a word's 24 high bits are multiplied by, for each low byte; an even one means a minus sign.
_WIDTH = (_NORMAL.x[:128] * _POINT).repeat(2) * np.tile(np.array([-1, 1], _F32), 128)

_PIECE = 1 << 16  # words handled at once where every word costs the same


class _Words:
    """A cursor over generated words, for the rare steps that take them one by one."""

    def __init__(self, words: np.ndarray, position: int):
        self.words = words
        self.position = position

    def next(self) -> int:
        word = int(self.words[self.position])  # IndexError: the block is used up
        self.position += 1
        return word

    def uniform(self) -> np.float32:
        """One number in [0, 1): a word that rounds to 1 is drawn again."""
        while True:
            value = _F32(self.next()) * _WORD
            if value < 1:
                return value


def _exponential(words: _Words) -> np.float32:
    """One unit exponential number."""
    table = _EXPONENTIAL
    shift = _F32(0)
    while True:
        word = words.next()
        layer = word & 255
        x = _F32(word >> 8) * _POINT * table.x[layer]
        if x < table.limit[layer]:
            return shift + x
        if layer == 0:  # the tail of an exponential is the exponential again, moved
            shift = shift + table.x[1]
            continue
        u = words.uniform()
        y = table.y[layer] + u * table.step_y[layer]
        below_chord = table.step_x[layer] * u - (table.x[layer] - x) < 0
        inner = table.y[layer + 1] + (table.x[layer + 1] - x) * table.y[layer + 1]
        if below_chord and (y - inner < 0 or y < _F32(math.exp(-float(x)))):
            return shift + x


def _tail(words: _Words) -> np.float32:
    """One number beyond the start of the normal's tail (Marsaglia 1964)."""
    start = _NORMAL.x[1]
    while True:
        x = _exponential(words) / start
        y = _exponential(words)
        if 2 * y > x * x:
            return x + start


def _below_curve(x: np.ndarray, layer: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Whether the points (x, height u in their layer), right of the safe part, lie under f."""
    table = _NORMAL
    corner_y = table.y.take(layer, mode="wrap")  # every layer is there: "wrap" saves the check
    corner_x = table.x.take(layer, mode="wrap")
    y = corner_y + u * table.step_y.take(layer, mode="wrap")
    room = corner_x - x
    chord = table.step_x.take(layer, mode="wrap") * u - room
    tangent = y - (corner_y + room * corner_y * corner_x)
    # Where f is convex the chord lies above it and the tangent below; where it is concave, swapped.
    convex = table.convex.take(layer, mode="wrap")
    below = np.where(convex, chord, tangent) < 0
    unsure = np.flatnonzero(below & ~(np.where(convex, tangent, chord) < 0))
    half_square = x[unsure]
    half_square = (half_square * half_square / _F32(2)).astype(np.float64)
    below[unsure] = y[unsure] < np.exp(-half_square).astype(_F32)
    return below


def _special(words: _Words) -> np.float32 | None:
    """The number that begins here, by single steps; None if its point is rejected."""
    word = words.next()
    layer = (word & 255) >> 1
    if layer == 0:
        return _tail(words)
    x = np.array([word >> 8], _F32) * _POINT * _NORMAL.x[layer]
    u = np.array([words.uniform()], _F32)
    return x[0] if _below_curve(x, np.array([layer]), u)[0] else None


def _quick_exponential(words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What :func:`_exponential` gives for each word alone, and where one word is enough."""
    layer = words.astype(np.uint8)
    x = (words >> np.uint32(8)).astype(_F32) * _POINT * _EXPONENTIAL.x[layer]
    return x, x < _EXPONENTIAL.limit[layer]


def _quick_tails(words: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What :func:`_tail` gives from the words after each position, and how many words begin there.

    0 words where one exponential number takes several, or the block ends: only trying helps there.
    """
    value, length = np.zeros(len(at), _F32), np.zeros(len(at), np.int64)
    left, offset = np.arange(len(at)), 1
    while True:
        left = left[at[left] + offset + 1 < len(words)]
        if not len(left):
            return value, length
        x, enough = _quick_exponential(words[at[left] + offset])
        y, enough_too = _quick_exponential(words[at[left] + offset + 1])
        enough &= enough_too
        left, x, y = left[enough], x[enough] / _NORMAL.x[1], y[enough]
        offset += 2
        good = 2 * y > x * x
        value[left[good]] = x[good] + _NORMAL.x[1]
        length[left[good]] = offset
        left = left[~good]


def _true_places(mask: np.ndarray) -> np.ndarray:
    """``np.flatnonzero`` of a mask that is False almost everywhere: by eights first."""
    whole = len(mask) // 8 * 8
    eights = mask[:whole].view(np.uint64)
    some = np.flatnonzero(eights != 0)
    within = np.flatnonzero(eights[some].view(bool))
    places = some[within >> 3] * 8 + (within & 7)
    return np.concatenate([places, whole + np.flatnonzero(mask[whole:])])


def _points(words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The point that each word picks, with its sign, and the places of those not surely below the
    curve.  In pieces that stay in the processor's cache."""
    x = np.empty(len(words), _F32)
    size = min(len(words), _PIECE)
    low, factor = np.empty(size, np.intp), np.empty(size, _F32)
    limit = factor.view(np.uint32)  # one memory for both: the one is used up before the other
    rough = []
    for start in range(0, len(words), size or 1):
        part, target = words[start : start + size], x[start : start + size]
        at, by, most = low[: len(part)], factor[: len(part)], limit[: len(part)]
        np.bitwise_and(part, np.uint32(255), out=at)
        target[:] = (part >> np.uint32(8)).view(np.int32)  # 24 bits; signed converts faster
        _WIDTH.take(at, out=by, mode="wrap")  # every index fits: "wrap" only saves the check
        target *= by
        _ROUGH_FROM.take(at, out=most, mode="wrap")
        rough.append(_true_places(part >= most) + start)
    return x, np.concatenate(rough) if rough else np.empty(0, np.intp)


def normal(words: np.ndarray, out: np.ndarray, mean: float, std: float) -> tuple[int, int]:
    """Turn a block of 32-bit words into at most ``len(out)`` normal numbers, written to ``out``.

    Returns how many numbers there are, and how many words they took.  There are fewer than
    ``len(out)`` when the block does not reach; the next block must then begin with the first word
    not taken.
    """
    x, rough = _points(words)
    end = len(words)
    if len(rough) and rough[-1] == end - 1:  # its second word is not here
        end -= 1
        rough = rough[:-1]

    # What begins at each rough word, as if none were taken as the second word of the one before.
    low = words[rough] & np.uint32(255)
    layer = (low >> np.uint32(1)).astype(np.intp)
    minus = (low & np.uint32(1)) == 0
    u = words[rough + 1].astype(_F32) * _WORD
    length = np.full(len(rough), 2)
    slow = (u >= 1) | (layer == 0)  # how many words these take is known only by trying
    tail = np.flatnonzero(layer == 0)
    value, taken = _quick_tails(words, rough[tail])
    x[rough[tail]] = np.where(minus[tail], -value, value)
    length[tail] = taken
    slow[tail] = taken == 0

    # In order where that matters: where one reaches the next, and where only trying helps.
    began = np.ones(len(rough), bool)
    accepted = np.ones(len(rough), bool)
    reaches = np.zeros(len(rough), bool)
    reaches[:-1] = np.diff(rough) < length[:-1]
    # Nearly all of those reach one word, are not reached themselves, and need no loop.
    single = reaches & ~slow & (length == 2)
    single[1:] &= ~reaches[:-1]
    began[1:] = ~single[:-1]
    for k in np.flatnonzero((reaches | slow) & ~single).tolist():
        if not began[k]:
            continue
        start = int(rough[k])
        if slow[k]:
            cursor = _Words(words, start)
            try:
                number = _special(cursor)
            except IndexError:  # the block ends inside this number
                end = start
                began[k:] = False
                break
            length[k] = cursor.position - start
            if number is None:
                accepted[k] = False
            else:
                x[start] = -number if minus[k] else number
        after = k + 1
        while after < len(rough) and rough[after] < start + length[k]:
            if single[after]:  # it does not begin after all, and takes nothing
                began[after + 1] = True
            began[after] = False
            after += 1

    wedge = np.flatnonzero(began & ~slow & (layer > 0))
    accepted[wedge] = _below_curve(np.abs(x[rough[wedge]]), layer[wedge], u[wedge])
    rough, length, accepted = rough[began], length[began], accepted[began]
    keep = np.ones(len(words), bool)
    keep[rough] = accepted
    keep[rough + 1] = False
    keep[rough[length > 2] + 2] = False
    for k in np.flatnonzero(length > 3).tolist():
        keep[rough[k] + 3 : rough[k] + length[k]] = False

    keep = keep[:end]
    used = end if not len(rough) else max(end, int(rough[-1] + length[-1]))
    made = int(np.count_nonzero(keep))
    if made >= len(out):
        made, used = len(out), 0
        if made:
            last = int(np.flatnonzero(keep)[made - 1])
            keep = keep[: last + 1]
            k = int(np.searchsorted(rough, last))
            used = last + int(length[k] if k < len(rough) and rough[k] == last else 1)
    done = 0
    for start in range(0, len(keep) if made else 0, _PIECE):
        numbers = x[start : start + _PIECE][: len(keep) - start][keep[start : start + _PIECE]]
        target = out[done : done + len(numbers)]
        np.multiply(numbers, _F32(std), out=target)
        target += _F32(mean)
        done += len(numbers)
    return made, used
