"""Programs of operations on maps, from Python."""

import gc
import weakref

import pytest
import torch

from caffe import native
from caffe.native.program import Finish, Impossible, Map, Program, Window, has

pytestmark = pytest.mark.skipif(not native.available(), reason=native.why_not() or "available")


def a_map(n, h, w, c):
    memory = torch.zeros(n, h, w, c)
    return memory, Map(memory.data_ptr(), n, h, w, c, c)


def test_what_goes_in_comes_out_on_any_number_of_threads():
    memory, m = a_map(2, 5, 7, 19)
    program = Program()
    program.take(0, m)
    program.give(m, 1)
    for threads in (1, 2, 3):
        x, y = torch.randn(2, 19, 5, 7), torch.empty(2, 19, 5, 7)
        assert program.run([x, y], threads)
        assert torch.equal(x, y) and torch.equal(memory.permute(0, 3, 1, 2), x)


@pytest.mark.parametrize("broken", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_is_not_finite_is_told(broken):
    memory, m = a_map(1, 3, 3, 5)
    program = Program()
    program.take(0, m)
    x = torch.randn(1, 5, 3, 3)
    assert program.run([x], 1) and torch.equal(memory.permute(0, 3, 1, 2), x)
    x[0, 2, 1, 1] = broken
    assert not program.run([x], 1)
    x[0, 2, 1, 1] = 0
    assert program.run([x], 1)


def test_weights_are_copied_unless_they_are_to_be_kept():
    given, x = a_map(1, 4, 4, 3)
    result, y = a_map(1, 4, 4, 8)
    program = Program()
    weight = torch.randn(8, 3, 1, 1)
    bias = torch.randn(8)
    expected = weight.clone(), bias.clone()
    program.take(0, x)
    program.convolution(x, y, Window(1, 1, 1, 1, 0, 0, 1, 1, 1), weight, Finish(bias))
    weight.zero_()
    bias.zero_()
    image = torch.randn(1, 3, 4, 4)
    assert program.run([image], 1) and torch.equal(given.permute(0, 3, 1, 2), image)
    found = result.permute(0, 3, 1, 2)
    torch.testing.assert_close(found, torch.conv2d(image, *expected), rtol=1e-5, atol=1e-5)


def test_what_the_kernels_refuse_is_an_error_and_nothing_breaks():
    memory, x = a_map(1, 4, 4, 4)
    program = Program()
    with pytest.raises(Impossible, match="no kernels_of_nobody"):
        program._add("kernels_of_nobody")
    assert not has("kernels_of_nobody") and has("kernels_convolution")
    program.take(0, x)
    program.give(x, 1)
    image = torch.randn(1, 4, 4, 4)
    assert program.run([image, torch.empty(1, 4, 4, 4)], 1)
    assert torch.equal(memory.permute(0, 3, 1, 2), image)


def test_a_program_lets_go_of_what_it_keeps():
    memory, m = a_map(1, 2, 2, 2)
    gone = weakref.ref(memory)
    program = Program()
    program.keep(memory)
    program.take(0, m)
    del memory
    gc.collect()
    assert gone() is not None and program.run([torch.zeros(1, 2, 2, 2)], 1)
    del program
    gc.collect()
    assert gone() is None
