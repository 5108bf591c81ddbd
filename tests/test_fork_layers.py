"""Layers that BVLC Caffe does not have on a GPU: the CPU's numbers, and what the host waits for.

The golden results (tests/oracle) do the same for the others."""

import os
import re
import sys

import fork_layers
import numpy as np
import pretend_graphs
import pytest
import torch
from fork_layers import CASES, ELSEWHERE, WAITS, kind_of, passes, worst_share

import caffe
from caffe.device import current
from caffe.layer import class_of, type_list
from caffe.net import Net

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "oracle"))
import cases  # noqa: E402

BOUND = 1e-6  # the pretend GPU computes with the CPU's kernels; replays may order a sum differently
#: Of the types with golden results, those that wait; the pretend GPU counts them in test_golden.py.
GOLDEN_WAITS = {"Filter", "HDF5Output", "InfogainLoss", "Python"}


def on_the_cpu(name):
    caffe.set_mode_cpu()
    return passes(name, 1)[0]


def test_every_type_has_a_case_or_golden_results():
    without = set(type_list()) - set(cases.types()) - ELSEWHERE
    assert {kind_of(name) for name in CASES} == without
    assert set(type_list()) >= ELSEWHERE


@pytest.mark.parametrize("name", CASES)
def test_a_gpu_gives_what_the_cpu_gives(name, pretend):
    """First layer by layer, then replayed from graphs; a layer that cannot be captured though it
    says so would warn, which is an error here."""
    expected = on_the_cpu(name)
    assert all(np.nan_to_num(expected[key]).any() for key in expected if key[0] != "p")
    pretend.set_mode_pretend()
    with pretend_graphs.replayed() as captured:
        found = passes(name)
    if CASES[name].bottoms:
        assert captured
    if CASES[name].drawn:
        assert all(found[0][k].shape == expected[k].shape for k in expected)
        assert all(np.isfinite(array).all() for results in found for array in results.values())
        return
    assert max(worst_share(expected, results) for results in found) <= BOUND


@pytest.mark.parametrize("name", CASES)
def test_what_a_layer_keeps_follows_it_from_device_to_device(name, pretend, monkeypatch):
    """Passes on the CPU and on two GPUs in turns, and the backward pass elsewhere than forward.
    The pretend GPU's autograd knows its first device alone."""
    expected = on_the_cpu(name)
    modes = [caffe.set_mode_cpu, lambda: pretend.set_mode_pretend(1), pretend.set_mode_pretend]
    backward, turn = Net._backward, [0]

    def elsewhere(*arguments):
        turn[0] += 1
        modes[turn[0] % 2 * 2]()
        return backward(*arguments)

    monkeypatch.setattr(Net, "_backward", elsewhere)
    found = passes(name, 6, lambda number: modes[number % 3]())
    if not CASES[name].drawn:
        assert max(worst_share(expected, results) for results in found) <= BOUND


def put_on_the_device(blob, array):
    """As a layer leaves it: the host has no copy."""
    blob.set_data(torch.from_numpy(array.copy()).to(current().torch_device))


def test_no_layer_makes_the_host_wait_but_those_that_are_listed(pretend, monkeypatch):
    waits = {}

    def watch(cls, method):
        real = getattr(cls, method)

        def watched(self, *arguments):
            with pretend.counting() as counts:
                result = real(self, *arguments)
            # What a user wrote goes up from pinned memory (device.py); nothing else may.
            uploads = {line for line in counts.lines("H2D") if not line.startswith("device.py")}
            if counts["sync"] or uploads:
                waits.setdefault(self.type, set()).update({*counts.lines("sync"), *uploads})
            return result

        monkeypatch.setattr(cls, method, watched)

    for kind in {kind_of(name) for name in CASES}:
        for method in ("before_forward", "before_backward", "forward_blobs", "backward_blobs"):
            watch(class_of(kind), method)
    for name in CASES:
        passes(name, 2, feed=put_on_the_device)
    assert {kind: lines for kind, lines in waits.items() if kind not in WAITS} == {}
    assert set(waits) == set(WAITS), "a layer that no longer waits is taken out of the table"
    assert not any(class_of(kind).graphable for kind in WAITS)


def test_the_page_lists_the_layers_that_wait():
    with open(os.path.join(ROOT, "docs", "gpu.md"), encoding="utf-8") as page:
        section = page.read().split("## Layers that wait")[1].split("\n## ")[0]
    told = {kind for row in re.findall(r"^\| ([A-Z][^|]*) \|", section, re.M)
            for kind in row.split(", ")}  # fmt: skip
    assert told == set(WAITS) | GOLDEN_WAITS


def test_a_case_that_is_off_is_found():
    a = {"t0": np.array([1.0, np.nan]), "d0": np.zeros(2)}
    assert worst_share(a, {"t0": np.array([1.5, np.nan]), "d0": np.zeros(2)}) == 0.5
    assert worst_share(a, {"t0": np.array([1.0, 2.0]), "d0": np.zeros(2)}) == np.inf
    assert worst_share(a, {"t0": np.array([1.0, np.nan]), "d0": np.ones(2)}) == np.inf
    assert fork_layers.PASSES > 5
