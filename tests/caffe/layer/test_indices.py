"""Labels and other indices on a GPU: who checks them, when the error comes, and at what cost."""

import numpy as np
import pytest
import torch
from harness import Rig, close, random

from caffe.device import current
from caffe.errors import DataError, LayerError
from caffe.layer import Need
from caffe.layer._indices import _position

SCORES = (2, 3, 2, 2)
IGNORE = "loss_param { ignore_label: 255 }"
# text, shapes of the bottoms, which of them holds indices, the position of the last index
READERS = {
    "softmax": (f'type: "SoftmaxWithLoss" {IGNORE}', [SCORES, (2, 1, 2, 2)], 1, "(1, 1, 1)"),
    "infogain": (f'type: "InfogainLoss" {IGNORE}', [SCORES, (2, 1, 2, 2), (3, 3)], 1, "(1, 1, 1)"),
    "accuracy": (
        'type: "Accuracy" accuracy_param { ignore_label: 255 }', [SCORES, (2, 2, 2)], 1, "(1, 1, 1)"
    ),
    "multinomial": ('type: "MultinomialLogisticLoss"', [(4, 3), (4,)], 1, "(3)"),
    "hinge": ('type: "HingeLoss"', [(4, 3), (4, 1, 1, 1)], 1, "(3)"),
    "embed": ('type: "Embed" embed_param { input_dim: 3 num_output: 2 }', [(4,)], 0, "(3,)"),
    "reindex": ('type: "BatchReindex"', [(3, 2), (4,)], 1, "(3,)"),
    "upsample": (
        'type: "Upsample" upsample_param { scale: 2 }', [(1, 1, 2, 2)] * 2, 1, "(0, 0, 1, 1)"
    ),
}  # fmt: skip


def prepared(name, index):
    """A rig and its bottoms' arrays; ``index`` replaces the last of the indices."""
    text, shapes, place, _ = READERS[name]
    rig = Rig(text, *shapes, tops=1)
    arrays = [np.abs(random(*shape, seed=i)) + 0.1 for i, shape in enumerate(shapes)]
    indices = np.zeros(shapes[place], np.float32)
    indices.flat[-2:] = 2, index
    arrays[place] = indices
    for blob in rig.layer.blobs:
        blob.data[...] = random(*blob.dims, seed=7)
    return rig, arrays, place


def run(rig, arrays, on_device=()):
    """A pass each way; the bottoms in ``on_device`` lie on the device alone."""
    with torch.no_grad():
        for i, (blob, array) in enumerate(zip(rig.bottom, arrays)):
            if i in on_device:
                blob.set_data(torch.from_numpy(array.copy()).to(current().torch_device))
            else:
                blob.data[...] = array
        rig.layer.reshape_blobs(rig.bottom, rig.top)
        rig.layer.before_forward(rig.bottom)
        rig.layer.forward_blobs(rig.bottom, rig.top)
    if not rig.layer.differentiable:
        return []
    needs = [i == 0 and rig.layer.type != "Embed" for i in range(len(rig.bottom))]
    for blob in rig.layer.blobs:
        blob.zero_diff()
    diffs = rig.backward(1.0, bottoms=needs)
    return [d for d in diffs if d is not None] + [b.diff.copy() for b in rig.layer.blobs]


@pytest.mark.parametrize("name", READERS)
def test_the_same_numbers_wherever_the_indices_lie(device, name):
    rig, arrays, place = prepared(name, 1)
    diffs = run(rig, arrays)
    top = rig.top[0].data.copy()
    again, _, _ = prepared(name, 1)
    for a, b in zip(diffs, run(again, arrays, on_device=[place])):
        close(a, b)
    close(top, again.top[0].data)
    if again.layer.verdict is not None:
        again.layer.raise_verdict()


@pytest.mark.parametrize("bad", [70, -3, np.nan])
@pytest.mark.parametrize("name", READERS)
def test_a_wrong_index_on_the_host_is_an_error_at_once(device, name, bad):
    rig, arrays, place = prepared(name, bad)
    with pytest.raises((LayerError, DataError), match=f"{bad:g}") as caught:
        run(rig, arrays)
    assert rig.top[0].data.any() == 0, "nothing was computed"
    assert READERS[name][-1] in str(caught.value)


@pytest.mark.parametrize("bad", [70, -3, np.nan])
@pytest.mark.parametrize("name", READERS)
def test_a_wrong_index_on_the_device_is_an_error_when_asked_for(pretend, name, bad):
    rig, arrays, place = prepared(name, bad)
    run(rig, arrays, on_device=[place])
    arrays[place] = np.zeros_like(arrays[place])
    run(rig, arrays, on_device=[place])  # a good batch after it does not hide it
    with pytest.raises((LayerError, DataError), match=f"{bad:g}") as caught:
        rig.layer.raise_verdict()
    assert READERS[name][-1] in str(caught.value)
    rig.layer.raise_verdict()  # once


@pytest.mark.parametrize("on_device", [False, True])
@pytest.mark.parametrize("name", READERS)
def test_no_pass_waits_for_the_device(pretend, name, on_device):
    rig, arrays, place = prepared(name, 1)
    run(rig, arrays, on_device=[place])  # makes what is made once
    with torch.no_grad():
        for blob, array in zip(rig.bottom, arrays):
            blob.set_data(torch.from_numpy(array).to(current().torch_device))
        if not on_device:
            rig.bottom[place].data[...] = arrays[place]
            rig.bottom[place].data_tensor()
        for blob in rig.top:
            blob.diff[...] = 1
            blob.diff_tensor()
        for blob in rig.layer.blobs:
            blob.zero_diff()
        with pretend.counting() as counts:
            rig.layer.before_forward(rig.bottom)
            rig.layer.forward_blobs(rig.bottom, rig.top)
            if rig.layer.differentiable:
                needs = [i == 0 and rig.layer.type != "Embed" for i in range(len(rig.bottom))]
                need = Need(tuple(needs), (True,) * len(rig.layer.blobs))
                rig.layer.backward_blobs(rig.top, need, rig.bottom)
    assert counts["sync"] == 0, counts.lines("sync")
    assert counts["launch"] > 0


def test_valid_normalisation_on_the_device(device):
    """Z counts the labels that are not ignored; where none is left it is 1."""
    for labels, z in (([0, 255, 1, 255], 2), ([255] * 4, 1)):
        rig = Rig(
            f'type: "SigmoidCrossEntropyLoss" {IGNORE[:-1]} normalization: VALID }}', (4, 1), (4, 1)
        )
        x = random(4, 1)
        t = np.array(labels, np.float32).reshape(4, 1)
        counts = t != 255
        p = 1 / (1 + np.exp(-x.astype(np.float64)))
        loss = -(np.where(t == 1, np.log(p), np.log(1 - p)) * counts).sum() / z
        got = rig.forward(x, t)
        assert abs(float(got) - loss) < 1e-5
        rig.top[0].diff[...] = 1
        (d, _) = rig.backward(bottoms=[True, False])
        np.testing.assert_allclose(d, counts * (p - t) / z, rtol=1e-4, atol=1e-7)


def test_positions():
    assert _position(7, (2, 1, 2, 2)) == (1, 0, 1, 1)
    assert _position(0, ()) == ()
