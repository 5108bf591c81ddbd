"""3x3 convolution of stride 1 and pad 1 by Winograd's minimal filtering, in channels-last memory.

Tiles of 4 rows by 2 columns of outputs are computed together: F(4,3) down the rows and F(2,3)
along the columns (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016).
That takes 24 multiplications for 8 outputs, a third of the 72 of the direct way, as 24 matrix
products over the channels.  With at most F(4,3) in one direction the result stays at float32
rounding: forward as close to float64 as the direct kernel, gradients within 4 times.

The work goes strip by strip so that what is written is read again from the cache.  Images are
(H, W, C) with contiguous channels; weights are Caffe's (O, C, 3, 3).  Symbols: T rows and Wt
columns of tiles in a strip; u the transformed weights (24, O, C).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch

from caffe import native
from caffe.kernels.scratch import buffer
from caffe.native.winograd import Winograd as NativeWinograd

__all__ = [
    "Prepared",
    "applies",
    "applies_in_program",
    "applies_in_step",
    "applies_to",
    "backward",
    "blocks_of",
    "forward",
    "gains",
    "prepare",
    "transform_weights",
]

#: Weights as :func:`forward` takes them: transformed, and packed where the native kernels run.
Prepared = torch.Tensor | NativeWinograd

_BT4 = torch.tensor(  # F(4,3), points 0, 1, -1, 2, -2 and infinity: input transform
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ],
    dtype=torch.float32,
)
_AT4 = torch.tensor(  # output transform
    [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]],
    dtype=torch.float32,
)
_G4 = torch.tensor(  # weight transform
    [
        [1 / 4, 0, 0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0, 0, 1],
    ],
    dtype=torch.float64,
)
_G2 = torch.tensor([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]], dtype=torch.float64)
_G = torch.kron(_G4, _G2).float()  # (24, 9): both directions at once
_B4, _A4 = _BT4.t().contiguous(), _AT4.t().contiguous()


class _Least(NamedTuple):
    """From how many channels of the bottom and the top (and of the wider of them), and blocks of
    4x2 outputs of an image, on this way is the fastest.  With fewer channels the transforms take
    what it saves, and with fewer blocks reading the weights."""

    inputs: int
    outputs: int
    blocks: int
    wider: int = 1

    def reached(self, inputs: int, outputs: int, height: int, width: int) -> bool:
        enough = inputs >= self.inputs and outputs >= self.outputs
        wide = max(inputs, outputs) >= self.wider
        return enough and wide and blocks_of(height, width) >= self.blocks


# By the kind of the native kernels, measured: AMX multiplies so fast that the transforms are dear.
# In programs, whose weights are packed once.
_IN_PROGRAM = {"amx": _Least(256, 256, 90), "avx512": _Least(8, 1, 6), "avx2": _Least(8, 1, 6)}
# In steps of layers, image by image; without native kernels on PyTorch's.
_IN_STEP = {
    **dict.fromkeys(("", "amx"), _Least(128, 128, 90, 256)),
    **dict.fromkeys(("avx512", "avx2"), _Least(16, 16, 24)),
}
# In single layers, which may have to pack the weights in each call.
_IN_LAYER = {
    "amx": _Least(48, 48, 96),
    **dict.fromkeys(("avx512", "avx2"), _Least(16, 16, 64)),
}
# For the weights' gradient, by backward(), against native/weight_gradient.py.
_FOR_GRADIENT = {"amx": _Least(1, 256, 1024)}  # other kinds have a kernel of their own
# Without native kernels.  Below, a product of few tiles and few channels is bound by memory, where
# the direct kernels reach 80 % of the processor's peak.
_LEAST_CHANNELS = 128
_LEAST_PRODUCT = 23_000  # of the tiles of an image and the channels of the narrower side
_STRIP_BYTES = 16 << 20


def blocks_of(height: int, width: int) -> int:
    """The blocks of 4x2 outputs, or tiles, of an image."""
    return -(-height // 4) * -(-width // 2)


def applies(weight: torch.Tensor, height: int, width: int) -> bool:
    """True where this way is worth it, given kernel 3x3, stride 1, pad 1, no groups or holes."""
    outputs, inputs = weight.shape[:2]
    return applies_to(outputs, inputs, height, width)


def applies_to(outputs: int, inputs: int, height: int, width: int) -> bool:
    """:func:`applies` for weights of so many outputs and inputs."""
    if native.available():
        return _IN_LAYER[native.kind()].reached(inputs, outputs, height, width)
    tiles, channels = blocks_of(height, width), min(inputs, outputs)
    return channels >= _LEAST_CHANNELS and tiles * channels >= _LEAST_PRODUCT


def applies_in_program(inputs: int, outputs: int, height: int, width: int) -> bool:
    """Whether a program of the native kernels is faster with this way, given kernel 3x3, stride 1,
    no groups or holes, for a top of this height and width."""
    return _IN_PROGRAM[native.kind()].reached(inputs, outputs, height, width)


def applies_in_step(inputs: int, outputs: int, height: int, width: int) -> bool:
    """The same for a step (net/fused_step.py), which also runs without native kernels; pad 1."""
    return _IN_STEP[native.kind()].reached(inputs, outputs, height, width)


def gains(top: Sequence[int]) -> bool:
    """Whether :func:`backward` gives the weights' gradient of a top (N, O, H, W) faster than the
    native kernel of native/weight_gradient.py, which multiplies three times as much."""
    return _FOR_GRADIENT[native.kind()].reached(1, *top[1:])


def prepare(weight: torch.Tensor, passing: bool = False) -> Prepared:
    """(O, C, 3, 3) for :func:`forward`."""
    u = transform_weights(weight, passing)
    return NativeWinograd(u) if native.available() else u


def transform_weights(weight: torch.Tensor, passing: bool = False) -> torch.Tensor:
    """(O, C, 3, 3) -> u of (24, O, C): 24/9 of the weights' memory.  Where it is ``passing`` the
    next call uses that memory again."""
    o, c = weight.shape[:2]
    out = buffer("weights", 24, o * c) if passing else None
    return torch.mm(_G, weight.reshape(o * c, 9).t(), out=out).view(24, o, c)


def forward(
    x: torch.Tensor,
    u: Prepared,
    bias: torch.Tensor | None,
    y: torch.Tensor,
    relu: bool = False,
    window: tuple[int, int, int, int] | None = None,
    above: int = 0,
) -> None:
    """Write the convolution of one image ``x`` (H, W, C) into ``y`` (H, W, O).

    With ``window`` = (r0, r1, c0, c1), only those rows and columns of the output are written; ``y``
    may then leave out so many rows ``above``.
    """
    if isinstance(u, NativeWinograd):
        u.forward(x, bias, y, relu, window, above)
        return
    r0, r1, c0, c1 = window or (0, y.shape[0], 0, y.shape[1])
    o, width = y.shape[2], c1 - c0
    wt = (width + 1) // 2
    target, ut = y[:, c0:c1], u.transpose(1, 2)
    for r, t in _strips(r0, r1, wt, max(x.shape[2], o)):
        products = buffer("products", 24, t * wt, o)
        torch.bmm(_input_tiles(x, r, t, c0, c1), ut, out=products)
        m = products.view(6, 4, t, wt, o)
        n = buffer("rows out", 6, t, wt, 2, o)  # columns done: two outputs for each tile
        even, odd = n[:, :, :, 0], n[:, :, :, 1]
        torch.add(m[:, 0], m[:, 1], out=even)
        even += m[:, 2]
        torch.sub(m[:, 1], m[:, 2], out=odd)
        odd -= m[:, 3]
        if bias is not None:
            n[1] += bias  # row 1 of the products reaches all four output rows with weight 1
        n = n.view(6, t, 2 * wt * o)[:, :, : width * o].permute(1, 0, 2)
        whole = r + 4 * t <= r1
        at = r - above
        out = target[at : at + 4 * t] if whole else buffer("last rows", 4 * t, width, o)
        step = out.stride(0)
        rows = out.as_strided((t, 4, width * o), (4 * step, step, 1), out.storage_offset())
        torch.bmm(_AT4.expand(t, 4, 6), n, out=rows)
        if relu:
            out.relu_()
        if not whole:
            target[at : r1 - above] = out[: r1 - r]


def backward(
    x: torch.Tensor,
    u: torch.Tensor,
    dy: Callable[[int, int], torch.Tensor],
    dx: torch.Tensor | None,
    dw: torch.Tensor | None,
) -> None:
    """Write the gradient of one image into ``dx`` (H, W, C); add the weights' to ``dw``.

    The exact adjoint of :func:`forward`: one transform of the output's gradient serves both.
    ``dy`` gives it from one row to another, (rows, W, O).
    """
    height, width, c = x.shape
    o = u.shape[1]
    wt = (width + 1) // 2
    du = None
    if dw is not None:
        du = buffer("du", 24, o, c).zero_()
    carry = None  # the last two rows of a strip overlap the first two of the next
    for r, t in _strips(0, height, wt, max(c, o)):
        end = min(r + 4 * t, height)
        d = dy(r, end)
        if end - r < 4 * t:
            rest, d = d, buffer("last rows", 4 * t, width, o)
            d[: end - r] = rest
            d[end - r :].zero_()
        e = _output_tiles(d, t, wt)
        if du is not None:
            du.baddbmm_(e.transpose(1, 2), _input_tiles(x, r, t, 0, width))
        if dx is not None:
            v = _input_adjoint(e, u, t, wt, width)
            v[1:, 0:2] += v[:-1, 4:6]
            if carry is not None:
                v[0, 0:2] += carry
            carry = v[-1, 4:6].clone()
            _put_tiles(dx, r - 1, v[:, :4])
            if end == height:
                _put_rows(dx, r - 1 + 4 * t, carry.view(2, width, c))
    if du is not None and dw is not None:
        dw.view(o * c, 9).addmm_(du.view(24, o * c).t(), _G)


def _strips(first: int, last: int, wt: int, channels: int) -> Iterator[tuple[int, int]]:
    """(first output row, rows of tiles) of strips of even size that fit the cache."""
    tiles = (last - first + 3) // 4
    most = max(1, (256 + wt - 1) // wt, _STRIP_BYTES // (96 * wt * channels))
    strips = -(-tiles // most)
    size = -(-tiles // strips)
    for k in range(0, tiles, size):
        yield first + 4 * k, min(size, tiles - k)


def _input_tiles(x: torch.Tensor, r: int, t: int, c0: int, c1: int) -> torch.Tensor:
    """Transformed input for ``t`` rows of tiles from output row ``r`` on: (24, t * wt, C)."""
    height, width, c = x.shape
    wt = (c1 - c0 + 1) // 2
    padded = 2 * wt + 2
    first, count = r - 1, 4 * t + 2
    end = first + count
    lo, hi = max(c0 - 1, 0), min(c1 + 1, width)  # the columns that exist
    left, present = lo - (c0 - 1), hi - lo
    rows = x[:, lo:hi]
    if first >= 0 and end <= height:
        v = rows[first:end]
    else:
        v = buffer("rows in", count, present, c)
        i, j = max(first, 0), min(end, height)
        v[: i - first].zero_()
        v[j - first :].zero_()
        v[i - first : j - first] = rows[i:j]
    mixed = buffer("rows mixed", 6, t, padded, c)
    mixed[:, :, :left].zero_()
    mixed[:, :, left + present :].zero_()
    step = v.stride(0)
    torch.bmm(
        _BT4.expand(t, 6, 6),
        v.as_strided((t, 6, present * c), (4 * step, step, 1), v.storage_offset()),
        out=mixed.view(6, t, padded * c)[:, :, left * c : (left + present) * c].permute(1, 0, 2),
    )
    tiles = buffer("tiles in", 6, 4, t, wt, c)
    d = [mixed[:, :, j : j + 2 * wt - 1 : 2] for j in range(4)]
    torch.sub(d[0], d[2], out=tiles[:, 0])
    torch.add(d[1], d[2], out=tiles[:, 1])
    torch.sub(d[2], d[1], out=tiles[:, 2])
    torch.sub(d[1], d[3], out=tiles[:, 3])
    return tiles.view(24, t * wt, c)


def _output_tiles(d: torch.Tensor, t: int, wt: int) -> torch.Tensor:
    """The adjoint of the output transform: ``d`` (4t, W, O) -> (24, t * wt, O)."""
    width, o = d.shape[1:]
    q = buffer("rows out", 6, t, 2 * wt, o)
    q[:, :, width:].zero_()
    rows = q.view(6, t, 2 * wt * o)[:, :, : width * o].permute(1, 0, 2)
    torch.bmm(_A4.expand(t, 6, 4), d.reshape(t, 4, width * o), out=rows)
    e = buffer("products", 6, 4, t, wt, o)
    even, odd = q[:, :, 0::2], q[:, :, 1::2]
    e[:, 0] = even
    torch.add(even, odd, out=e[:, 1])
    torch.sub(even, odd, out=e[:, 2])
    torch.neg(odd, out=e[:, 3])
    return e.view(24, t * wt, o)


def _input_adjoint(e: torch.Tensor, u: torch.Tensor, t: int, wt: int, width: int) -> torch.Tensor:
    """The adjoint of the input transform after the products: (t, 6, width * C)."""
    c = u.shape[2]
    tiles = buffer("tiles in", 24, t * wt, c)
    torch.bmm(e, u, out=tiles)
    m = tiles.view(6, 4, t, wt, c)
    mixed = buffer("rows mixed", 6, t, wt + 1, 2, c)
    mixed[:, :, :wt, 0] = m[:, 0]
    mixed[:, :, wt, 0].zero_()
    even = mixed[:, :, 1:, 0]
    even += m[:, 1]
    even += m[:, 2]
    even -= m[:, 0]
    odd = mixed[:, :, :wt, 1]
    torch.sub(m[:, 1], m[:, 2], out=odd)
    odd += m[:, 3]
    mixed[:, :, wt, 1].zero_()
    mixed[:, :, 1:, 1] -= m[:, 3]
    rows = mixed.view(6, t, (2 * wt + 2) * c)[:, :, c : (width + 1) * c].permute(1, 0, 2)
    v = buffer("rows in", t, 6, width * c)
    torch.bmm(_B4.expand(t, 6, 6), rows, out=v)
    return v


def _put_tiles(target: torch.Tensor, first: int, tiles: torch.Tensor) -> None:
    """Rows ``first`` on of ``target`` = ``tiles`` (t, 4, W * C), without those beyond the image."""
    t, _, row = tiles.shape
    skip = -(-max(0, -first) // 4)  # tiles that begin above the image
    count = max(0, min(t, (len(target) - first) // 4) - skip)
    inside = target[first + 4 * skip :][: 4 * count] if count else target[:0]
    inside.view(count, 4, row).copy_(tiles[skip : skip + count])
    for k in (*range(skip), *range(skip + count, t)):
        _put_rows(target, first + 4 * k, tiles[k].view(4, *target.shape[1:]))


def _put_rows(target: torch.Tensor, first: int, rows: torch.Tensor) -> None:
    """``target[first:first + n] = rows``, leaving out what lies beyond the image."""
    i, j = max(0, -first), min(len(rows), len(target) - first)
    if j > i:
        target[first + i : first + j] = rows[i:j]
