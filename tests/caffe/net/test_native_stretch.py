"""Programs of nets with wide padding: what they compute is what the layers compute."""

import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from padded_nets import CONV, INPUT, NETS, conv

import caffe
from caffe import native
from caffe.kernels import winograd
from caffe.native.program import Program
from caffe.net import compiled_step, native_program, native_stretch, stretch_program
from caffe.net.native_program import NativeProgram

pytestmark = [
    pytest.mark.cpu_only,
    pytest.mark.skipif(not native.available(), reason=native.why_not() or "available"),
]

SIZES = [{}, {"n": 2, "h": 33, "w": 70}, {"n": 1, "h": 1, "w": 2}]


@pytest.fixture(autouse=True)
def frames(monkeypatch):
    """Programs are made in the second pass; gives the frames of all that were made."""
    monkeypatch.setattr(NativeProgram, "patience", 2)
    monkeypatch.setattr(compiled_step, "KINDS", (NativeProgram,))
    found = []

    def built(*given):
        *given, fill = given
        return make(*given, lambda frames: (found.extend(frames), fill(frames)))

    make = native_stretch.build
    monkeypatch.setattr(native_stretch, "build", built)
    return found


@pytest.fixture
def nets(tmp_path):
    """Two nets of the same text with the same weights."""

    def build(text):
        path = tmp_path / "net.prototxt"
        path.write_text(text)
        made = []
        for _ in range(2):
            caffe.set_random_seed(3)
            made.append(caffe.Net(str(path), caffe.TEST))
        return made

    return build


def run(net, seed):
    shape = net.blobs["data"].data.shape
    net.blobs["data"].data[...] = np.random.RandomState(seed).randn(*shape)
    return {name: array.copy() for name, array in net.forward().items()}


def assert_close(got, want):
    assert got.keys() == want.keys()
    for name in want:
        assert np.abs(got[name] - want[name]).max() <= 1e-5 * np.abs(want[name]).max(), name


def compare(nets, monkeypatch, seeds=range(5)):
    net, plain = nets
    for seed in seeds:
        found = run(net, seed)
        with monkeypatch.context() as m:
            m.setenv("CAFFE_KERNELS", "plain")
            assert_close(found, run(plain, seed))


@pytest.mark.parametrize("by_winograd", [False, True])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", NETS)
def test_outputs_are_those_of_the_layers(nets, monkeypatch, frames, name, size, by_winograd):
    monkeypatch.setattr(winograd, "applies_in_program", lambda *given: by_winograd)
    made = nets(NETS[name](**size))
    compare(made, monkeypatch)
    assert frames
    for blob in made[0].blobs:  # hidden ones are computed, then become outputs
        assert_close({blob: made[0].blobs[blob].data}, {blob: made[1].blobs[blob].data})
    compare(made, monkeypatch, range(5, 8))


def test_groups_by_winograd_have_their_part_of_what_follows(nets, monkeypatch):
    monkeypatch.setattr(winograd, "applies_in_program", lambda *given: True)
    taken, add = [], Program.winograd

    def winograds(self, x, out, u, finish, *given):
        taken.append(finish)
        add(self, x, out, u, finish, *given)

    monkeypatch.setattr(Program, "winograd", winograds)
    grouped = "kernel_size: 3 pad: 1 group: 3"
    text = (
        INPUT.format(2, 9, 11)
        + CONV.format("conv1", "data", 12, grouped)
        + CONV.format("conv2", "conv1", 12, grouped)
        + 'layer { name: "sum" type: "Eltwise" bottom: "conv1" bottom: "conv2" top: "sum" }\n'
        + 'layer { name: "slopes" type: "PReLU" bottom: "sum" top: "slopes" }\n'
    )
    made = nets(text)
    for net in made:
        net.params["slopes"][0].data[...] = np.linspace(-1, 1, 12)
    compare(made, monkeypatch)
    finished = [f for f in taken if f.other is not None]
    assert finished and all(len(f.act.slopes) == 4 for f in finished)


def test_other_weights_have_other_borders(nets, monkeypatch):
    made = nets(NETS["vgg"]())
    compare(made, monkeypatch)
    for net in made:
        net.params["conv1"][1].data[...] += 1
    compare(made, monkeypatch)


def test_a_map_holds_no_more_than_is_read(nets, monkeypatch):
    """16 rows of the crop's 39 depend on the image; those of the layer before reach 2 further."""
    monkeypatch.setattr(winograd, "applies_in_program", lambda *given: False)
    sizes = []
    add = Program.convolution_part
    monkeypatch.setattr(
        Program,
        "convolution_part",
        lambda self, x, out, *given: (sizes.append((x.h, out.h)), add(self, x, out, *given)),
    )
    text = (
        INPUT.format(1, 12, 12)
        + conv("conv1", "data", 32, "kernel_size: 3 pad: 40")
        + conv("conv2", "conv1", 32, "kernel_size: 3 pad: 1")
        + conv("score", "conv2", 4, "kernel_size: 1")
        + 'layer { name: "crop" type: "Crop" bottom: "score" bottom: "data" top: "crop" '
        "crop_param { offset: 40 } }\n"
    )
    compare(nets(text), monkeypatch)
    # 12 rows of the image are seen by 14 of conv1, 16 of conv2 and of score.
    assert sizes == [(12, 18), (18, 16), (16, 16)]


UPSAMPLING = """layer {{ name: "up" type: "Deconvolution" bottom: "conv2" top: "up"
  convolution_param {{ num_output: 8 kernel_size: {0} stride: {1} pad: 1 {2} }} }}
layer {{ name: "crop" type: "Crop" bottom: "up" bottom: "data" top: "crop"
  crop_param {{ offset: 3 offset: 2 }} }}
"""
AFTER = 'layer { name: "relu" type: "ReLU" bottom: "crop" top: "relu" }\n'
OWN = 'group: 8 weight_filler { type: "msra" }'
MIXED = 'weight_filler { type: "msra" } bias_filler { type: "gaussian" std: 1 }'
BILINEAR = 'bias_term: false weight_filler { type: "bilinear" }'


@pytest.mark.parametrize("kernel", [(4, 2), (5, 3), (3, 1), (7, 2)])
@pytest.mark.parametrize("kind", [OWN, MIXED, BILINEAR])
@pytest.mark.parametrize("after", ["", AFTER])
def test_what_is_cropped_off_is_not_computed(nets, monkeypatch, kernel, kind, after):
    crops, crop = [], Program.crop
    monkeypatch.setattr(Program, "crop", lambda *given: (crops.append(1), crop(*given)))
    text = INPUT.format(2, 12, 13) + conv("conv1", "data", 8, "kernel_size: 3 pad: 4")
    text += conv("conv2", "conv1", 8, "kernel_size: 3") + UPSAMPLING.format(*kernel, kind) + after
    made = nets(text)
    compare(made, monkeypatch)
    assert not crops
    assert_close({"up": made[0].blobs["up"].data}, {"up": made[1].blobs["up"].data})
    compare(made, monkeypatch, range(5, 10))  # now the top of the deconvolution is an output
    assert crops == [1]


def test_what_is_read_twice_is_computed_whole(nets, monkeypatch):
    text = INPUT.format(1, 12, 13) + conv("conv1", "data", 8, "kernel_size: 3 pad: 4")
    text += conv("conv2", "conv1", 8, "kernel_size: 3") + UPSAMPLING.format(4, 2, OWN)
    text += 'layer { name: "tail" type: "TanH" bottom: "up" top: "tail" }\n'
    compare(nets(text), monkeypatch)


NO_MEMORY = RuntimeError(
    "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you "
    "tried to allocate 8589934592 bytes. Error code 12 (Cannot allocate memory)"
)


@pytest.mark.parametrize("error", [NO_MEMORY, MemoryError("no memory for scratch")])
@pytest.mark.parametrize("when", ["built", "run", "compared"])
def test_without_memory_the_layers_run(nets, monkeypatch, error, when):
    def fails(*given, **named):
        tried.append(1)
        raise error

    tried = []
    if when == "built":
        monkeypatch.setattr(native_stretch, "build", fails)
    elif when == "run":
        error = MemoryError("no memory for scratch")  # which is all that a run needs
        monkeypatch.setattr(Program, "run", fails)
    else:
        monkeypatch.setattr(native_program, "equal", fails)
    made = nets(NETS["vgg"]())
    compare(made, monkeypatch)
    assert tried
    for blob in made[0].blobs:
        assert_close({blob: made[0].blobs[blob].data}, {blob: made[1].blobs[blob].data})


def test_other_errors_are_not_hidden(nets, monkeypatch):
    def fails(*given):
        raise RuntimeError("a fault")

    monkeypatch.setattr(native_stretch, "build", fails)
    net, _ = nets(NETS["vgg"]())
    run(net, 0)
    with pytest.raises(RuntimeError, match="a fault"):
        run(net, 1)


def test_the_pass_that_makes_the_program_is_the_layers(nets, monkeypatch):
    runs, of_program = [], Program.run
    monkeypatch.setattr(Program, "run", lambda *given: (runs.append(1), of_program(*given))[1])
    net, other = nets(NETS["vgg"]())
    run(net, 0)
    found = run(net, 1)
    assert len(runs) == 1  # in which it was tried
    caffe.set_deterministic()
    try:
        run(other, 0)
        want = run(other, 1)
    finally:
        caffe.set_deterministic(False)
    for name in want:
        assert np.array_equal(found[name], want[name])
    for blob in net.blobs:  # hidden ones are those of this pass
        assert_close({blob: net.blobs[blob].data}, {blob: other.blobs[blob].data})


def test_a_program_that_gives_something_else_is_not_used(nets, monkeypatch):
    runs, of_program = [], Program.run

    def wrong(self, tensors, threads):
        runs.append(1)
        done = of_program(self, tensors, threads)
        tensors[-1].view(-1)[0] += 1e-3 * tensors[-1].abs().max()
        return done

    monkeypatch.setattr(Program, "run", wrong)
    made = nets(NETS["vgg"]())
    compare(made, monkeypatch)
    assert len(runs) == 1
    for blob in made[0].blobs:
        assert_close({blob: made[0].blobs[blob].data}, {blob: made[1].blobs[blob].data})


def test_a_border_that_a_later_layer_writes_over_is_computed_again(nets, monkeypatch, frames):
    computed, of_program = [], native_program.run
    monkeypatch.setattr(
        native_program, "run", lambda *given: (computed.append(1), of_program(*given))[1]
    )
    text = INPUT.format(2, 12, 13) + conv("conv1", "data", 8, "kernel_size: 3 pad: 20")
    text += """layer { name: "a" type: "Sigmoid" bottom: "conv1" top: "conv1" }
        layer { name: "b" type: "TanH" bottom: "conv1" top: "conv1" }
        """ + conv("conv2", "conv1", 8, "kernel_size: 3")
    compare(nets(text), monkeypatch)
    assert frames and len(computed) == 1


def test_a_large_net_waits_longer_for_its_program(nets, monkeypatch):
    monkeypatch.setattr(stretch_program, "_LARGE_WORK", 1)
    monkeypatch.setattr(NativeProgram, "large_patience", 4)
    (net, _), made = nets(NETS["vgg"]()), []
    make = NativeProgram.make
    monkeypatch.setattr(NativeProgram, "make", lambda stretch: (made.append(1), make(stretch))[1])
    counts = []
    for seed in range(6):
        run(net, seed)
        counts.append(len(made))
    assert counts == [0, 0, 0, 1, 1, 1]


def test_empty_batches_come_and_go(nets, monkeypatch):
    made = nets(NETS["vgg"]())
    compare(made, monkeypatch, range(3))
    for net in made:
        net.blobs["data"].reshape(0, *net.blobs["data"].data.shape[1:])
    for _ in range(3):
        assert all(array.shape[0] == 0 for array in made[0].forward().values())
    for net in made:
        net.blobs["data"].reshape(1, *net.blobs["data"].data.shape[1:])
    compare(made, monkeypatch, range(3, 6))


def test_two_python_threads_run_a_net_each(nets, monkeypatch):
    made = nets(NETS["vgg"]())
    want = [run(made[0], seed) for seed in range(4)]
    wrong = []

    def work(net):
        try:
            for i in range(40):
                assert_close(run(net, i % 4), want[i % 4])
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(net,)) for net in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_another_number_of_threads_gives_the_same_bits(nets):
    net, _ = nets(NETS["vgg"]())
    run(net, 0)
    run(net, 0)  # the program is made
    want, before = run(net, 1), torch.get_num_threads()
    try:
        for threads in (1, 3, 2, 1):
            torch.set_num_threads(threads)
            for name, array in run(net, 1).items():
                assert np.array_equal(array, want[name])
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(("kept", "most"), [(1 << 25, 3), (1, 1)])
def test_many_weights_are_not_kept_for_many_shapes(nets, monkeypatch, kept, most):
    monkeypatch.setattr(compiled_step, "_MOST_KEPT", kept)
    made = nets(NETS["vgg"]())
    for height in (20, 24, 28):
        for net in made:
            net.blobs["data"].reshape(1, 3, height, 30)
        compare(made, monkeypatch, range(3))
    (step,) = (s for steps in made[0]._passes.plan._stretches for s in steps.values())
    assert len(step._programs) == most


FORKS = """
import os, sys, torch, numpy as np, caffe
torch.set_num_threads(2)
net = caffe.Net(sys.argv[1], caffe.TEST)
want = [net.forward(data=np.ones(net.blobs["data"].data.shape)) for _ in range(4)][-1]
want = {name: array.copy() for name, array in want.items()}
child = os.fork()
found = net.forward(data=np.ones(net.blobs["data"].data.shape))
same = all(np.array_equal(found[name], want[name]) for name in want)
if child == 0:
    os._exit(0 if same else 1)
sys.exit(not same or os.waitpid(child, 0)[1])
"""


def test_a_forked_child_runs_the_program_too(tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text(NETS["vgg"]())
    subprocess.run([sys.executable, "-c", FORKS, str(path)], check=True, timeout=60)
