"""Whose memory a tensor is: lent to others, or spare for the next numbers."""

import gc

import pytest
import torch
from six_numbers import SHAPE, full

from caffe.storage import Storage, lending


@pytest.mark.cpu_only
def test_memory_of_numbers_that_are_gone_serves_the_next(monkeypatch):
    monkeypatch.setattr(lending, "_LARGE", 4)
    storage = Storage(6)
    assert storage.spare((2, 3)) is None
    first = torch.arange(6.0).view(2, 3)
    storage.write(first)
    storage.zero(keep_memory=True)
    assert storage.is_zero
    assert storage.spare((5,)) is None  # and that was the only offer
    storage.write(first)
    storage.defer(lambda: torch.ones(2, 3), keep_memory=True)
    storage.zero()
    spare = storage.spare((3, 2))
    assert spare.shape == (3, 2)
    assert spare.is_contiguous()
    assert spare.data_ptr() == first.data_ptr()
    assert storage.spare((3, 2)) is None  # it has been given away


@pytest.mark.cpu_only
def test_memory_that_somebody_has_is_never_spare(monkeypatch):
    monkeypatch.setattr(lending, "_LARGE", 4)
    for keep in (lambda s: s.array((6,)), lambda s: s.lend()):
        storage = Storage(6)
        storage.write(torch.arange(6.0))
        held = keep(storage)
        storage.zero(keep_memory=True)
        assert storage.spare((6,)) is None
        del held
    storage = Storage(6)
    storage.write(torch.arange(6.0))
    storage.defer(lambda: torch.ones(6), keep_memory=True)
    assert storage.array((6,)).sum() == 6  # the promise has been kept in other memory
    assert storage.spare((6,)) is None


def test_what_is_lent_is_free_again_when_the_borrower_has_gone():
    class Borrower:
        pass

    storage = Storage(6)
    storage.write(full(1))
    tensor = storage.tensor(SHAPE)
    assert storage.holds(tensor)
    assert storage.lends
    borrower = Borrower()
    storage.lend_to(borrower)
    assert not storage.holds(tensor)
    assert storage.to_overwrite(tensor) is not tensor
    del borrower
    gc.collect()
    assert storage.holds(tensor)
    assert storage.to_overwrite(tensor) is tensor
    held = storage.array(SHAPE)
    assert not storage.lends
    assert held.sum() == 6


@pytest.mark.cpu_only
def test_memory_to_fill_is_not_what_was_lent():
    s = Storage(6)
    given = full(1)
    s.write(given)
    assert s.lend()
    s.to_fill(SHAPE).fill_(2)
    assert given.eq(1).all()
