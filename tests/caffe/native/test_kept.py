"""Products with weights that are read where they lie."""

import pytest
import torch

from caffe import Error, native
from caffe.native.kept import MOST_ROWS, Kept

needs_native = pytest.mark.skipif(not native.available(), reason=native.why_not() or "available")


def _drawn(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


@needs_native
@pytest.mark.parametrize("rows", [1, 33, 256])
@pytest.mark.parametrize(("depth", "outputs"), [(31, 5), (512, 64), (1100, 130), (9000, 47)])
def test_it_equals_the_product(rows, depth, outputs):
    x, weight = _drawn(rows, depth), _drawn(outputs, depth)
    want = x.double() @ weight.double().t()
    run = Kept(rows, weight)
    assert (run(x) - want).abs().max() <= 2e-6 * want.abs().max()
    assert (run(x.flip(0)) - want.flip(0)).abs().max() <= 2e-6 * want.abs().max()


@needs_native
def test_threads_give_the_same_bits():
    x, run = _drawn(70, 700), Kept(70, _drawn(200, 700))
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(run(x))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0], found[1]) and torch.equal(found[0], found[2])


@needs_native
def test_what_does_not_fit_is_named():
    with pytest.raises(Error, match="takes 1 to 1024 rows, not 1025"):
        Kept(MOST_ROWS + 1, torch.zeros(3, 4))
    with pytest.raises(Error, match=r"takes float32 of \(2, 4\); got torch.float64 of \(2, 4\)"):
        Kept(2, torch.zeros(3, 4))(torch.zeros(2, 4).double())


def test_without_the_kernels_it_says_why(monkeypatch):
    monkeypatch.setattr(native, "_load", lambda: native._Loaded(None, "the processor lacks fma"))
    with pytest.raises(Error, match="cannot be used: the processor lacks fma"):
        Kept(1, torch.zeros(1, 1))
