"""Where maps lie: nothing is written over while it is needed, and memory is used again."""

import random

import pytest
import torch

from caffe.native.memory import COMPUTE, CUT, IN_PLACE, JOIN, Use, place


def sizes_of(channels, side=4):
    return {v: (2, side, side + 1, c) for v, c in enumerate(channels)}


def test_the_parts_of_a_concatenation_are_slices_of_it():
    uses = [Use(COMPUTE, [], [0]), Use(COMPUTE, [], [1]), Use(JOIN, [0, 1], [2])]
    arena = place(uses, sizes_of([3, 5, 8]), [])
    assert not arena.copies
    assert arena.maps[0].at == arena.maps[2].at
    assert arena.maps[1].at == arena.maps[2].at + 4 * 3
    assert [arena.maps[v].pixel for v in range(3)] == [8, 8, 8]


def test_a_bottom_twice_in_a_concatenation_is_copied_once():
    uses = [Use(COMPUTE, [], [0]), Use(JOIN, [0, 0], [1])]
    assert place(uses, sizes_of([3, 6]), []).copies == {(1, 0)}


def test_what_is_read_after_its_concatenation_was_written_over_is_no_slice():
    uses = [
        Use(COMPUTE, [], [0]),
        Use(COMPUTE, [], [1]),
        Use(JOIN, [0, 1], [2]),
        Use(IN_PLACE, [2], [3]),
        Use(COMPUTE, [0, 3], [4]),
    ]
    assert place(uses, sizes_of([3, 5, 8, 8, 1]), []).copies == {(2, 0)}


def test_a_chain_needs_the_memory_of_two_maps():
    uses = [Use(COMPUTE, [v - 1] if v else [], [v]) for v in range(9)]
    arena = place(uses, sizes_of([16] * 9), [])
    assert arena.memory.numel() == 2 * 2 * 4 * 5 * 16 + 16
    for v in range(1, 9):
        assert arena.maps[v].at != arena.maps[v - 1].at


def test_every_map_of_its_own_begins_at_a_multiple_of_64_bytes():
    uses = [Use(COMPUTE, [], [v]) for v in range(5)] + [Use(COMPUTE, list(range(5)), [])]
    arena = place(uses, sizes_of([1, 2, 3, 5, 7], side=3), [])
    assert all(m.at % 64 == 0 for m in arena.maps.values())


def a_program(rng):
    """Random uses, the channels of their values, and which inputs are kept."""
    uses, channels, kept = [Use(COMPUTE, [], [0])], [rng.randrange(1, 6)], [0]
    for _ in range(rng.randrange(2, 14)):
        values = range(len(channels))
        kind = rng.choice([COMPUTE, IN_PLACE, IN_PLACE, JOIN, JOIN, CUT])
        x = rng.choice(values)
        if kind == COMPUTE:
            reads, new = rng.choices(values, k=rng.randrange(0, 3)), [rng.randrange(1, 6)]
        elif kind == IN_PLACE:
            alike = [v for v in values if channels[v] == channels[x]]
            reads, new = [x, *rng.choices(alike, k=rng.randrange(2))], [channels[x]]
        elif kind == JOIN:
            reads = rng.choices(values, k=rng.randrange(2, 4))
            new = [sum(channels[v] for v in reads)]
        else:
            if channels[x] < 2:
                continue
            cut = rng.randrange(1, channels[x])
            reads, new = [x], [cut, channels[x] - cut]
        if sum(new) > 40:
            continue
        uses.append(Use(kind, reads, list(range(len(channels), len(channels) + len(new)))))
        channels += new
    uses += [Use(COMPUTE, [v], []) for v in rng.sample(range(len(channels)), min(2, len(channels)))]
    return uses, channels, kept


@pytest.mark.parametrize("seed", range(30))
def test_random_programs_read_what_was_written(seed):
    rng = random.Random(seed)
    for _ in range(20):
        uses, channels, kept = a_program(rng)
        sizes = sizes_of(channels, side=2)
        arena = place(uses, sizes, kept)
        arena.memory.fill_(-1)
        expected = {}
        for i, use in enumerate(uses):
            for v in use.reads:
                assert torch.equal(arena.view(v), expected[v]), (uses, i, v)
            run(arena, i, use, sizes, expected)
        for v in kept:
            assert torch.equal(arena.view(v), expected[v])


def run(arena, i, use, sizes, expected):
    """The operation, in the arena as a program does it and by itself."""
    if use.kind == JOIN:
        (whole,), channel = use.writes, 0
        expected[whole] = torch.cat([expected[v] for v in use.reads], 1)
        for v in use.reads:
            if (i, v) in arena.copies:
                arena.view(whole)[:, channel : channel + sizes[v][3]] = expected[v]
            channel += sizes[v][3]
        assert torch.equal(arena.view(whole), expected[whole])
    elif use.kind == CUT:
        parts = expected[use.reads[0]].split([sizes[v][3] for v in use.writes], 1)
        for v, part in zip(use.writes, parts):
            expected[v] = part.clone()
            if (i, v) in arena.copies:
                arena.view(v).copy_(part)
    else:
        for v in use.writes:
            n, h, w, c = sizes[v]
            expected[v] = torch.rand(n, c, h, w)
            arena.view(v).copy_(expected[v])
