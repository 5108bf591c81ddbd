"""InnerProduct."""

import numpy as np
import pytest
import torch
from harness import Rig, check_gradient, close, random

from caffe.arithmetic import set_precision
from caffe.errors import LayerError, ShapeError

FILL = 'weight_filler { type: "gaussian" } bias_filler { type: "gaussian" }'


def inner(body: str, shape=(2, 3, 4), **options) -> Rig:
    return Rig(f'type: "InnerProduct" inner_product_param {{ {FILL} {body} }}', shape, **options)


@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("axis, batch", [(1, (2,)), (2, (2, 3)), (-1, (2, 3)), (0, ())])
def test_forward_and_gradient(device, axis, batch, transpose):
    rig = inner(f"num_output: 5 axis: {axis} transpose: {str(transpose).lower()}")
    weight, bias = (b.data.copy() for b in rig.layer.blobs)
    inputs = 24 // (len(batch) and [2, 6][len(batch) - 1] or 1)
    assert weight.shape == ((inputs, 5) if transpose else (5, inputs))
    x = random(2, 3, 4)
    w = weight if transpose else weight.T
    close(rig.forward(x), x.reshape(*batch, inputs) @ w + bias)
    check_gradient(rig, x)


def test_without_bias():
    rig = inner("num_output: 2 bias_term: false")
    assert len(rig.layer.blobs) == 1
    check_gradient(rig, random(2, 3, 4))


def test_only_the_batch_may_change():
    rig = inner("num_output: 5")
    assert rig.reshape((7, 4, 3)) == [(7, 5)]
    with pytest.raises(ShapeError, match=r"\(5, 12\) are for 12 inputs.* has 15"):
        rig.reshape((2, 3, 5))


def test_bad_use_is_refused():
    with pytest.raises(LayerError, match="num_output"):
        inner("")
    with pytest.raises(LayerError, match="in place"):
        inner("num_output: 12", (2, 12), in_place=True)


@pytest.mark.parametrize("transpose", [False, True])
def test_bfloat16_on_a_gpu_keeps_float32_parameters(pretend, transpose):
    rig = inner(f"num_output: 5 transpose: {str(transpose).lower()}", (6, 8))
    x, g = random(6, 8), random(6, 5, seed=1)
    y = rig.forward(x)
    d = rig.backward(g)[0]
    grads = [b.diff.copy() for b in rig.layer.blobs]
    set_precision("bf16")
    try:
        for blob in rig.layer.blobs:
            blob.zero_diff()
        found = rig.forward(x)
        narrow = rig.backward(g)[0]
        with pretend.counting() as counts:
            rig.layer.forward_blobs(rig.bottom, rig.top)
        assert rig.top[0].data_tensor().dtype == torch.bfloat16
        copies = [n for line, n in counts.lines("launch").items() if "copy_" in line]
        assert copies == [1], "x alone: the parameters' narrow copies are kept"
        rig.layer.blobs[0].data[...] *= 2
        doubled = rig.forward(x)
    finally:
        set_precision("fp32")
    bias = rig.layer.blobs[1].data
    for a, b in [(found, y), (narrow, d), (doubled - bias, 2 * (y - bias))]:
        assert 0 < np.abs(a - b).max() <= 0.02 * np.abs(b).max()
    for blob, expected in zip(rig.layer.blobs, grads):
        assert blob.diff_tensor().dtype == torch.float32
        assert np.abs(blob.diff - expected).max() <= 0.02 * np.abs(expected).max()
