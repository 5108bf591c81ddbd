"""What programs do with parts of maps (c/frame.c, convolutions of parts) against PyTorch."""

import pytest
import torch

from caffe import native
from caffe.kernels.winograd import transform_weights
from caffe.native.parts import Rectangle
from caffe.native.program import RELU, Act, Finish, Impossible, Map, Program, Window

pytestmark = pytest.mark.skipif(not native.available(), reason=native.why_not() or "available")

GUARD = 777.0


def a_map(n, h, w, c, extra=0):
    memory = torch.full((n, h, w, c + extra), GUARD)
    return memory, Map(memory.data_ptr(), n, h, w, c, c + extra)


@pytest.mark.parametrize("extra", [0, 5])
@pytest.mark.parametrize("inside", [((1, 4), (2, 6)), ((0, 5), (0, 3)), ((2, 2), (3, 3))])
def test_a_frame_is_copied_around_a_part(inside, extra):
    rectangle = Rectangle(*inside)
    memory, m = a_map(2, 5, 7, 19, extra)
    numbers = torch.zeros(35 - rectangle.area, 19)
    program = Program()
    program.frame(m, rectangle, numbers)
    numbers.copy_(torch.randn(numbers.shape))  # after it was added
    around = torch.ones(5, 7, dtype=torch.bool)
    around[slice(*inside[0]), slice(*inside[1])] = False
    for threads in (1, 2, 3):
        memory.fill_(GUARD)
        assert program.run([], threads)
        for image in memory:
            assert torch.equal(image[around][:, :19], numbers)
            assert bool((image[~around] == GUARD).all() and (image[..., 19:] == GUARD).all())


def test_other_numbers_or_parts_are_refused():
    _, m = a_map(1, 5, 7, 3)
    for rectangle, count in ((Rectangle((0, 5), (0, 7)), 1), (Rectangle((0, 6), (0, 7)), -7)):
        with pytest.raises(Impossible):
            Program().frame(m, rectangle, torch.zeros(max(count, 0), 3))


# Channels, outputs, kernel, stride, pad and dilation.
CONVOLUTIONS = {
    "3x3": (35, 20, 3, 1, 1, 1),
    "of an image": (3, 33, 3, 1, 20, 1),
    "3x3, unpadded": (9, 40, 3, 1, 0, 1),
    "wide": (16, 40, 5, 1, 2, 1),
    "strided": (32, 16, 3, 2, 1, 1),
    "dilated": (33, 7, 3, 1, 2, 2),
    "pointwise": (40, 21, 1, 1, 0, 1),
    "pointwise, padded": (8, 21, 1, 1, 9, 1),
}
# Rows and columns of the input and of the results that the maps are.
PARTS = [
    (((0, 19), (0, 23)), ((0, 9), (0, 11))),
    (((2, 17), (3, 21)), ((2, 9), (3, 10))),
    (((4, 19), (0, 20)), ((0, 8), (4, 11))),
    (((3, 9), (2, 23)), ((1, 9), (5, 6))),
]


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_a_convolution_of_parts(name, part):
    c, o, k, s, p, d = CONVOLUTIONS[name]
    x, weight, bias = torch.randn(2, c, 19, 23), torch.randn(o, c, k, k), torch.randn(o)
    rows, columns = (slice(*i) for i in part[0])
    seen = torch.zeros_like(x)
    seen[:, :, rows, columns] = x[:, :, rows, columns]
    want = torch.conv2d(seen.double(), weight.double(), bias.double(), s, p, d).relu()
    (r0, r1), (c0, c1) = part[1]
    want = want[:, :, r0:r1, c0:c1].permute(0, 2, 3, 1)
    given, source = a_map(2, rows.stop - rows.start, columns.stop - columns.start, c, 3)
    given[..., :c] = x[:, :, rows, columns].permute(0, 2, 3, 1)
    memory, target = a_map(*want.shape, 4)
    pad = p + rows.start - r0 * s, p + columns.start - c0 * s
    program = Program()
    window = Window(k, k, s, s, *pad, d, d, 1)
    program.convolution_part(source, target, window, weight, Finish(bias, None, Act(RELU)))
    for threads in (1, 2):
        memory.fill_(GUARD)
        assert program.run([], threads)
        assert (memory[..., :o] - want).abs().max() <= 3e-6 * want.abs().max()
        assert bool((memory[..., o:] == GUARD).all())


@pytest.mark.parametrize("part", PARTS)
def test_winograds_way_of_parts(part):
    x, weight = torch.randn(2, 35, 19, 23), torch.randn(20, 35, 3, 3)
    rows, columns = (slice(*i) for i in part[0])
    seen = torch.zeros_like(x)
    seen[:, :, rows, columns] = x[:, :, rows, columns]
    (r0, r1), (c0, c1) = part[1]
    want = torch.conv2d(seen.double(), weight.double(), None, 1, 1)[:, :, r0:r1, c0:c1]
    want = want.permute(0, 2, 3, 1)
    given, source = a_map(2, rows.stop - rows.start, columns.stop - columns.start, 35, 3)
    given[..., :35] = x[:, :, rows, columns].permute(0, 2, 3, 1)
    memory, target = a_map(*want.shape, 4)
    computed = Rectangle((0, r1 - r0 - 1), (min(1, c1 - c0 - 1), c1 - c0))
    pad = 1 + rows.start - r0, 1 + columns.start - c0
    program = Program()
    u = transform_weights(weight)
    program.winograd(source, target, u, Finish(), pad, computed)
    inside = torch.zeros(r1 - r0, c1 - c0, dtype=torch.bool)
    inside[slice(*computed.rows), slice(*computed.columns)] = True
    for threads in (1, 2):
        memory.fill_(GUARD)
        assert program.run([], threads)
        found = memory[:, inside][..., :20]
        assert (found - want[:, inside]).abs().max() <= 3e-6 * want.abs().max()
        assert bool((memory[..., 20:] == GUARD).all() and (memory[:, ~inside] == GUARD).all())
