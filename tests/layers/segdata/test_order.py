"""The order in which entries are drawn."""

import pytest

from segdata.order import batches, draws


def take(iterator, count):
    return [next(iterator) for _ in range(count)]


@pytest.mark.parametrize(
    "n, published",
    [
        (8498, [5249, 4531, 3108, 4978, 1408, 7005, 3260, 6710]),
        (795, [491, 423, 290, 465, 131, 655, 305, 627]),
    ],
)
def test_published_order_of_seed_1337(n, published):
    assert [index for _, index in take(draws(n, 1337), 8)] == published


def test_draws_can_start_anywhere():
    assert take(draws(50, 7, 1000), 5) == take(draws(50, 7), 1005)[1000:]
    assert take(draws(3, None, 4), 3) == [(4, 1), (5, 2), (6, 0)]
    assert take(batches(50, 4, 7, 10), 2) == take(batches(50, 4, 7), 12)[10:]
