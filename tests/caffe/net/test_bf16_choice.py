"""Layers in bfloat16 against a float32 program in their place: which runs, and that it stays."""

import time

import numpy as np
import pytest
import torch
from padded_nets import NETS

import caffe
from caffe import native
from caffe.kernels import fused
from caffe.native.program import Program
from caffe.net import bf16_choice, compiled_step
from caffe.net.bf16_choice import Bf16Choice
from caffe.net.native_program import NativeProgram

pytestmark = [
    pytest.mark.cpu_only,
    pytest.mark.skipif(not native.available(), reason=native.why_not() or "available"),
    pytest.mark.skipif(not fused.available("bf16"), reason="oneDNN has no bfloat16 here"),
]


class Clock:
    """Time as the tests say."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        return self.now

    def takes(self, seconds, answer=True):
        def run():
            self.now += seconds
            return answer

        return run


@pytest.fixture
def clock(monkeypatch):
    found = Clock()
    monkeypatch.setattr(bf16_choice, "time", found)
    return found


@pytest.mark.parametrize(("program", "answer"), [(1.9, True), (2.0, True), (2.1, False)])
def test_the_faster_is_chosen_by_the_layers_best_pass(clock, program, answer):
    choice = Bf16Choice()
    for seconds in (9, 2, 3):
        choice.time_layers("a", clock.takes(seconds))
    choice.time_layers("b", clock.takes(1))
    assert choice.takes_program("a") is None
    assert choice.decide("a", clock.takes(program)) is answer
    assert choice.takes_program("a") is answer
    assert choice.takes_program("b") is None


def test_a_short_program_is_timed_more_than_once(clock):
    choice, runs = Bf16Choice(), iter([0.03, 0.001, 0.03, 0.03, 0.03])
    choice.time_layers("a", clock.takes(0.002))
    assert choice.decide("a", lambda: clock.takes(next(runs))())
    assert len(list(runs)) == 0


def test_a_program_that_declines_says_nothing(clock):
    choice = Bf16Choice()
    choice.time_layers("a", clock.takes(2))
    assert not choice.decide("a", clock.takes(1, answer=False))
    assert choice.takes_program("a") is None


# Nets ---------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def bf16(monkeypatch):
    monkeypatch.setattr(NativeProgram, "patience", 2)
    monkeypatch.setattr(compiled_step, "KINDS", (NativeProgram,))
    caffe.set_precision("bf16")
    yield
    caffe.set_precision("fp32")
    caffe.set_deterministic(False)


@pytest.fixture
def net(tmp_path):
    return build(tmp_path)


def build(tmp_path, name="vgg"):
    path = tmp_path / "net.prototxt"
    path.write_text(NETS[name]())
    caffe.set_random_seed(3)
    return caffe.Net(str(path), caffe.TEST)


def step_of(net):
    (step,) = net._passes.plan._stretches[0].values()
    return step


def run(net, seed=0):
    shape = net.blobs["data"].data.shape
    net.blobs["data"].data[...] = np.random.RandomState(seed).randn(*shape)
    return {name: array.copy() for name, array in net.forward().items()}


def in_float32(net, monkeypatch, seed=0):
    before = caffe.precision()
    caffe.set_precision("fp32")
    with monkeypatch.context() as m:
        m.setenv("CAFFE_KERNELS", "plain")
        found = run(net, seed)
    caffe.set_precision(before)
    return found


def error(found, expected):
    return max(np.abs(found[n] - e).max() / np.abs(e).max() for n, e in expected.items())


def choose(monkeypatch, program):
    """Let the program or the layers be the faster ones; the list of the programs' timings."""
    decided = []

    def decide(choice, key, run):
        assert run()
        decided.append(key)
        choice._takes_program[key] = program
        return program

    monkeypatch.setattr(Bf16Choice, "decide", decide)
    return decided


def test_a_faster_program_takes_over_and_is_float32(net, tmp_path, monkeypatch):
    decided = choose(monkeypatch, program=True)
    plain = build(tmp_path)
    expected = in_float32(plain, monkeypatch)
    errors = [error(run(net), expected) for _ in range(6)]
    assert min(errors[:2]) > 1e-4 and max(errors[:2]) < 0.03  # the layers, in bfloat16
    assert max(errors[2:]) < 1e-5
    assert len(decided) == 1 and step_of(net).threads
    for name in net.blobs:  # hidden ones are of the same pass
        assert error({name: net.blobs[name].data}, {name: plain.blobs[name].data}) < 1e-5


def test_faster_layers_go_on_as_if_nothing_had_been_tried(net, tmp_path, monkeypatch):
    decided = choose(monkeypatch, program=False)
    other = build(tmp_path)
    caffe.set_deterministic()
    want = run(other)
    caffe.set_deterministic(False)
    found = [run(net) for _ in range(8)]
    assert len(decided) == 1 and not step_of(net)._programs
    for i, arrays in enumerate(found):
        same = all(np.array_equal(arrays[n], want[n]) for n in want)
        assert same == (i != 2)  # which was float32, for the program to be compared


def test_the_answer_stays_whatever_later_passes_take(net, monkeypatch):
    choose(monkeypatch, program=True)
    for _ in range(4):
        want = run(net)
    of_program = Program.run
    monkeypatch.setattr(Program, "run", lambda *given: (time.sleep(0.01), of_program(*given))[1])
    for _ in range(4):
        found = run(net)
        assert step_of(net).threads
        assert all(np.array_equal(found[n], want[n]) for n in want)


def test_deterministic_passes_are_the_layers_and_nothing_is_timed(net, monkeypatch):
    def fails(*given):
        raise AssertionError("timed")

    monkeypatch.setattr(Bf16Choice, "time_layers", fails)
    monkeypatch.setattr(Bf16Choice, "decide", fails)
    caffe.set_deterministic()
    want = run(net)
    for _ in range(5):
        found = run(net)
        assert all(np.array_equal(found[n], want[n]) for n in want)


def test_a_program_that_stops_while_it_is_timed_leaves_the_layers_results(net, monkeypatch):
    caffe.set_deterministic()
    want = run(net)
    caffe.set_deterministic(False)
    runs, of_program = [], Program.run

    def stops(*given):
        runs.append(1)
        if len(runs) == 2:  # the first is the comparison
            raise MemoryError("no memory for a native program")
        return of_program(*given)

    monkeypatch.setattr(Program, "run", stops)
    found = [run(net) for _ in range(6)]
    assert len(runs) >= 2
    assert max(error(arrays, want) for arrays in found) < 0.03


@pytest.mark.parametrize("before", ["fp32", "other threads"])
def test_passes_of_another_kind_are_no_time_of_the_layers(before, net, monkeypatch):
    threads = torch.get_num_threads()
    monkeypatch.setattr(NativeProgram, "patience", 4)
    timed, of_choice = [], Bf16Choice.time_layers
    monkeypatch.setattr(
        Bf16Choice,
        "time_layers",
        lambda choice, key, run: (timed.append(key[-1]), of_choice(choice, key, run))[1],
    )
    decided = choose(monkeypatch, program=True)
    caffe.set_precision("fp32" if before == "fp32" else "bf16")
    torch.set_num_threads(1 if before == "fp32" else 2)
    try:
        for _ in range(3):
            run(net)
        caffe.set_precision("bf16")
        torch.set_num_threads(1)
        timed.clear()
        while not decided and len(timed) < 20:
            run(net)
    finally:
        torch.set_num_threads(threads)
    assert decided and len(timed) >= 3


def test_each_shape_has_an_answer_of_its_own(net, monkeypatch):
    decided = choose(monkeypatch, program=True)
    for height in (20, 24, 20):
        net.blobs["data"].reshape(1, 3, height, 30)
        for _ in range(4):
            run(net)
    assert [key[0][0][2] for key in decided] == [20, 24]


def test_new_weights_do_not_ask_again(net, tmp_path, monkeypatch):
    decided = choose(monkeypatch, program=True)
    for _ in range(4):
        run(net)
    for _ in range(2):
        net.params["conv1"][0].data[...] *= 0.5
        for _ in range(9):
            run(net)
        assert step_of(net).threads
    assert len(decided) == 1


@pytest.mark.parametrize("program", [False, True])
@pytest.mark.parametrize("name", ["vgg", *[n for n in NETS if n != "vgg"][:2]])
def test_float32_after_bfloat16_is_float32(tmp_path, monkeypatch, name, program):
    choose(monkeypatch, program)
    net, plain = build(tmp_path, name), build(tmp_path, name)
    for round_ in range(2):
        caffe.set_precision("bf16")
        for seed in range(5):
            run(net, seed)
        caffe.set_precision("fp32")
        for seed in range(2 + 3 * round_):
            assert error(run(net, seed), in_float32(plain, monkeypatch, seed)) < 1e-5
