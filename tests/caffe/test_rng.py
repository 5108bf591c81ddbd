"""The random generator: its words, its state, its threads."""

import threading

import numpy as np
import pytest
import torch

from caffe import rng, ziggurat
from caffe.errors import Error


def unit_normal(words, count):
    """At most ``count`` numbers of mean 0 and deviation 1, and how many words they took."""
    numbers = np.empty(min(count, len(words)), np.float32)
    made, used = ziggurat.normal(words, numbers, 0.0, 1.0)
    return numbers[:made], used


def test_words_are_mt19937():
    # The first outputs of the reference MT19937 with its default seed 5489.
    np.testing.assert_array_equal(
        rng.Generator(5489).u32(3), np.array([3499211612, 581869302, 3890346734], np.uint32)
    )


def test_seed_counts_modulo_two_to_the_32():
    assert rng.Generator(3).u32(1) == rng.Generator((1 << 32) + 3).u32(1)
    assert rng.Generator(-1).u32(1) == rng.Generator(0xFFFFFFFF).u32(1)


def test_bernoulli_keeps_a_word_up_to_p_times_the_range():
    p = 0.3
    words = rng.Generator(1).u32(1000)
    expected = words.astype(np.float32) <= np.float32(p) * np.float32(2**32 - 1)
    got = rng.Generator(1).bernoulli(p, 1000)
    np.testing.assert_array_equal(got, expected)
    assert 200 < got.sum() < 400


def test_bernoulli_of_zero_draws_nothing():
    generator = rng.Generator(1)
    assert not generator.bernoulli(0, 10).any()
    assert generator.state() == rng.Generator(1).state()


def test_normal_numbers_do_not_depend_on_how_they_are_asked_for():
    whole = rng.Generator(2)
    parts = rng.Generator(2)
    sizes = [1] * 300 + [0, 7, 4000, 1, 300000]
    joined = np.concatenate([parts.gaussian(0, 1, n) for n in sizes])
    np.testing.assert_array_equal(joined, whole.gaussian(0, 1, len(joined)))
    assert parts.state() == whole.state()
    assert abs(joined.mean()) < 0.01 and abs(joined.std() - 1) < 0.01


@pytest.mark.slow
def test_normal_numbers_stop_before_a_number_the_block_does_not_hold():
    words = rng.Generator(3).u32(5000)
    numbers, used = unit_normal(words, 10**6)
    # Any shorter block gives a prefix, and what follows can be continued from its last word.
    for size in range(1, 1200):
        first, taken = unit_normal(words[:size], 10**6)
        assert taken <= size
        rest, _ = unit_normal(words[taken:], 10**6)
        np.testing.assert_array_equal(np.concatenate([first, rest]), numbers)
    assert used <= 5000


def step_by_step(words):
    """The normal numbers of a block, each by the steps that suit every word."""
    cursor, numbers, used = ziggurat._Words(words, 0), [], 0
    try:
        while True:
            word = int(words[cursor.position])
            layer = (word & 255) >> 1
            x = np.float32(word >> 8) * np.float32(2.0**-24) * ziggurat._NORMAL.x[layer]
            if x < ziggurat._NORMAL.limit[layer]:
                cursor.position += 1
            else:
                x = ziggurat._special(cursor)
            used = cursor.position
            if x is not None:
                numbers.append(x if word & 1 else -x)
    except IndexError:
        return np.array(numbers, np.float32), used


@pytest.mark.parametrize("rare", [None, "tails", "wedges", "both", "the largest words"])
def test_a_block_at_once_gives_what_step_by_step_gives(rare):
    stream = np.random.RandomState(8)
    for size in [*range(40), 300, 4000]:
        words = stream.randint(0, 1 << 32, size=size, dtype=np.uint32)
        some = stream.randint(0, max(size, 1), size=size // 3)
        if rare == "tails":
            words[some] = words[some] & ~np.uint32(0xFE) | np.uint32(0xF8000000)
        elif rare == "wedges":
            words[some] |= np.uint32(0xFF000000)
        elif rare == "both":  # tails of several exponential numbers, and what they reach
            words[some] |= np.uint32(0xFF000000)
            words[some[::3]] &= ~np.uint32(0xFE)
        elif rare == "the largest words":
            words[some] = 0xFFFFFFFF
        expected, used = step_by_step(words)
        numbers, taken = unit_normal(words, size + 1)
        np.testing.assert_array_equal(numbers.view(np.uint32), expected.view(np.uint32))
        if size and words[-1] < 0xF0000000:  # else the last word may wait for the one after it
            assert taken == used


def test_threads_draw_the_same_stream():
    expected = rng.Generator(9)
    with_threads = rng.Generator(9)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        want = expected.gaussian(0, 1, 700000)
        torch.set_num_threads(2)
        got = with_threads.gaussian(0, 1, 700000)
    finally:
        torch.set_num_threads(threads)
    np.testing.assert_array_equal(got, want)
    assert with_threads.state() == expected.state()


def test_uniform_draws_again_what_lands_on_the_open_end():
    class Stub(rng.Generator):
        def u32(self, n):
            taken, self.left = self.left[:n], self.left[n:]
            return np.array(taken, np.uint32)

    generator = Stub(0)
    generator.left = [0, 0xFFFFFFFF, 1 << 31, 0xFFFFFFF0, 1 << 30]
    np.testing.assert_array_equal(
        generator.uniform(0, 1, 3), np.array([0, 0.50000006, 0.25000003], np.float32)
    )


def test_state_resumes_exactly():
    rng.set_random_seed(4)
    rng.get().gaussian(0, 1, 1234)
    state = rng.get_random_state()
    assert isinstance(state, str)
    expected = rng.get().u32(2000)
    rng.set_random_seed(5)
    rng.set_random_state(state)
    np.testing.assert_array_equal(rng.get().u32(2000), expected)


@pytest.mark.parametrize(
    "state", ["", "[]", "{}", '{"generator": "PCG64"}', '{"generator": "MT19937", "key": [1]}']
)
def test_a_bad_state_is_an_error(state):
    with pytest.raises(Error, match="not a random state"):
        rng.set_random_state(state)


def test_every_thread_has_its_own_stream():
    rng.set_random_seed(6)
    seen = []

    def draw(seed):
        if seed is not None:
            rng.set_random_seed(seed)
        seen.append(rng.get().u32(4).tolist())

    for seed in (6, None):
        thread = threading.Thread(target=draw, args=(seed,))
        thread.start()
        thread.join()
    mine = rng.get().u32(4).tolist()
    assert seen[0] == mine
    assert seen[1] != mine
