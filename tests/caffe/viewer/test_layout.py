"""Boxes stand in ranks, apart, chains straight."""

import random

import pytest

from caffe.viewer.layout import arrange

WIDTH, GAP = 100.0, 10.0


def test_a_chain_is_a_vertical_line():
    layout = arrange(5, [(0, 1), (1, 2), (2, 3), (3, 4)], WIDTH, GAP)
    assert layout.rank == [0, 1, 2, 3, 4] and len({round(x) for x in layout.x}) == 1


def test_a_skip_passes_beside_the_chain_without_touching_it():
    edges = [(0, 1), (1, 2), (2, 3), (0, 3)]
    layout = arrange(4, edges, WIDTH, GAP)
    way = layout.ways[3]
    assert len(way) == 2 and layout.x[1] == layout.x[2]
    assert all(abs(x - layout.x[1]) >= WIDTH / 2 + GAP for x in way)


@pytest.mark.slow
def test_an_arrow_always_leads_down_and_boxes_of_a_rank_lie_apart():
    rng = random.Random(4)
    for _ in range(20):
        count = rng.randint(1, 40)
        edges = [
            (rng.randrange(b), b) for b in range(1, count) for _ in range(rng.choice((1, 1, 2, 3)))
        ]
        layout = arrange(count, edges, WIDTH, GAP)
        assert all(layout.rank[a] < layout.rank[b] for a, b in edges)
        assert [len(way) for way in layout.ways] == [
            layout.rank[b] - layout.rank[a] - 1 for a, b in edges
        ]
        for rank in set(layout.rank):
            x = sorted(layout.x[box] for box in range(count) if layout.rank[box] == rank)
            assert all(b - a >= WIDTH + GAP - 1e-6 for a, b in zip(x, x[1:]))
        assert min(layout.x) >= WIDTH / 2 - 1e-6


def test_two_branches_do_not_cross():
    # 0 forks to 1 and 2, which go on to 3 and 4 and join in 5.
    layout = arrange(6, [(0, 1), (0, 2), (2, 4), (1, 3), (3, 5), (4, 5)], WIDTH, GAP)
    assert (layout.x[1] < layout.x[2]) == (layout.x[3] < layout.x[4])
    assert layout.x[0] == layout.x[5]


def test_nothing_is_arranged_too():
    assert arrange(0, [], WIDTH, GAP).x == []
