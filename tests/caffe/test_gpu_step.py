"""A training step of FCN-8s on a GPU: how many launches it takes, and that it waits for nothing."""

import os
import sys
import types

import numpy as np
import pytest
from google.protobuf import text_format

import caffe
from caffe.proto import caffe_pb2

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests"))
from narrow_nets import narrow  # noqa: E402

SIZE = 24


def fcn8s():
    """A sixteenth of VOC's FCN-8s, fed from arrays."""
    net = caffe_pb2.NetParameter()
    with open(os.path.join(ROOT, "nets", "voc-fcn8s", "train.prototxt")) as lines:
        text_format.Merge(lines.read(), net)
    del net.layer[0]
    for name, channels in (("label", 1), ("data", 3)):
        layer = caffe_pb2.LayerParameter(name=name, type="Input", top=[name])
        layer.input_param.shape.add().dim.extend([1, channels, SIZE, SIZE])
        net.layer.insert(0, layer)
    for layer in net.layer:
        if layer.type in ("Convolution", "Deconvolution"):
            up = layer.type == "Deconvolution"
            layer.convolution_param.weight_filler.type = "bilinear" if up else "xavier"
    return narrow(net, 16)


@pytest.fixture
def solver(pretend, tmp_path, request):
    with open(tmp_path / "solver.prototxt", "w") as file:
        file.write(
            f"train_net_param {{ {fcn8s()} }} base_lr: 1e-10 lr_policy: 'fixed' momentum: 0.9 "
            f"weight_decay: 0.0005 average_loss: 20 snapshot_prefix: 's'"
        )
    solver = caffe.get_solver(str(tmp_path / "solver.prototxt"))
    for _ in range(2):
        step(solver)
    return solver


def step(solver):
    rng = np.random.default_rng(solver.iter)
    net = solver.net
    net.blobs["data"].data[...] = rng.uniform(-120, 120, net.blobs["data"].data.shape)
    label = rng.integers(0, 21, net.blobs["label"].data.shape)
    label[..., 0] = 255
    net.blobs["label"].data[...] = label
    solver.step(1)


@pytest.mark.slow
def test_five_steps_wait_for_nothing(pretend, solver):
    with pretend.counting() as counts:
        for _ in range(5):
            step(solver)
    assert counts["sync"] == 0, counts.lines("sync")
    assert counts["H2D"] == 5 * 2, "an image and its labels a step"
    assert counts["D2H"] == 0
    assert counts["launch"] / 5 <= 176, counts.lines("launch")


@pytest.mark.slow
def test_an_update_takes_few_launches(pretend, solver):
    solver.net.clear_param_diffs()
    solver.net.forward_loss()
    solver.net.backward_all()
    with pretend.counting() as counts:
        solver.apply_update()
    assert counts["launch"] == 2, counts.lines("launch")  # two rates
    assert counts["sync"] == 0


@pytest.mark.slow
def test_a_wrong_label_is_an_error_before_anything_is_computed(pretend, solver):
    solver.net.blobs["label"].data[0, 0, 2, 3] = 21
    before = solver.net.params["score_fr"][1].data.copy()
    with pytest.raises(caffe.Error, match=r"label 21 at \(n, h, w\) = \(0, 2, 3\)"):
        solver.step(1)
    np.testing.assert_array_equal(solver.net.params["score_fr"][1].data, before)


@pytest.mark.slow
def test_a_wrong_label_that_the_gpu_alone_has_stops_the_run_at_the_next_display(pretend, solver):
    import torch

    from caffe.device import current

    label = torch.zeros(1, 1, SIZE, SIZE)
    label[0, 0, 2, 3] = 21
    solver.net.blobs["label"].set_data(label.to(current().torch_device))
    solver.step(1)
    with pytest.raises(caffe.Error, match=r"label 21 at \(n, h, w\) = \(0, 2, 3\)"):
        solver.snapshot()


@pytest.mark.slow
def test_the_loop_of_solve_py_waits_for_nothing_until_it_displays(pretend, solver):
    """Loss and labels of each step are kept on the GPU, and read when a line is shown."""
    from fcn import catalog
    from fcn.training.loop import Run

    class Progress:
        reads = ()

        def step(self, done, read, *rest):
            self.reads = (*self.reads, read)

    label = solver.net.blobs["label"]
    label.data[...] = np.random.default_rng(0).integers(0, 21, label.data.shape)
    loop = types.SimpleNamespace(
        solver=solver, net=solver.net, param=solver.param, seed=1, normalized=False, steps=100,
        outputs=[types.SimpleNamespace(label="label")], _clock=0.0,
        args=types.SimpleNamespace(gpu=0), _not_a_number=lambda what, step: what,
    )  # fmt: skip
    progress = Progress()
    with pretend.counting() as counts:
        for _ in range(3):
            Run._step(loop, progress)
    assert (counts["sync"], counts["D2H"]) == (0, 0), counts.lines("D2H")
    total, per_pixel = progress.reads[-1]()
    count = int((label.data != catalog.IGNORE).sum())
    assert total == pytest.approx(per_pixel * count) and total > 0
