"""Which number of threads is found to be the faster one."""

from caffe.net.faster_threads import FasterThreads


def passes(faster, seconds, count):
    """The threads of so many passes that take this long."""
    used = []
    for _ in range(count):
        used.append(faster.threads)
        faster.took(seconds[faster.threads])
    return used


def test_more_threads_are_used_where_they_are_faster():
    faster = FasterThreads(1, 2)
    used = passes(faster, {1: 2.0, 2: 1.0}, 1000)
    assert set(used[:18]) == {1} and set(used[18:36]) == {2}
    assert used.count(2) > 900


def test_fewer_are_used_where_they_are_faster():
    used = passes(FasterThreads(1, 4), {1: 1.0, 4: 1.1}, 1000)
    assert used.count(4) < 100


def test_what_changes_is_found_out_again():
    faster = FasterThreads(1, 2)
    passes(faster, {1: 2.0, 2: 1.0}, 500)
    used = passes(faster, {1: 1.0, 2: 50.0}, 5000)
    assert used[-1] == 1 and used.count(2) < 500


def test_comparisons_become_rare():
    faster = FasterThreads(1, 2)
    passes(faster, {1: 1.0, 2: 2.0}, 10_000)
    assert passes(faster, {1: 1.0, 2: 2.0}, 10_000).count(2) < 100


def test_the_passes_that_wake_a_thread_do_not_count():
    faster, used = FasterThreads(1, 2), []
    for _ in range(500):
        woken = faster.threads == 2 and (not used or used[-1] == 1)
        used.append(faster.threads)
        faster.took(9.0 if woken else {1: 1.0, 2: 0.9}[faster.threads])
    assert used[-1] == 2
