"""Scale: broadcasting, in-place use, and the gradient that Caffe assigns."""

import pytest
from harness import Rig, check_gradient, close, random

from caffe.errors import ShapeError

SHAPE = (2, 3, 4, 5)


def scale(body: str, *shapes, **options) -> Rig:
    return Rig(f'type: "Scale" scale_param {{ {body} }}', *(shapes or [SHAPE]), **options)


@pytest.mark.parametrize(
    "body, shape, view",
    [
        ("", (3,), (3, 1, 1)),
        ("axis: 0 num_axes: 2", (2, 3), (2, 3, 1, 1)),
        ("axis: -1", (5,), (5,)),
        ("axis: 2 num_axes: -1", (4, 5), (4, 5)),
        ("num_axes: 0", (), ()),
    ],
)
def test_forward_and_gradient(device, body, shape, view):
    rig = scale(f"{body} bias_term: true bias_filler {{ value: 2 }}")
    s, b = rig.layer.blobs
    assert s.dims == b.dims == shape and (s.data == 1).all() and (b.data == 2).all()
    s.data[...] = random(*shape, seed=1)
    x = random(*SHAPE)
    close(rig.forward(x), x * s.data.reshape(view) + 2)
    if device == "cpu":
        check_gradient(rig, x)


def test_two_bottoms():
    rig = scale("", SHAPE, (3, 4))
    x, s = random(*SHAPE), random(3, 4, seed=1)
    assert not rig.layer.blobs
    close(rig.forward(x, s), x * s[:, :, None])
    check_gradient(rig, x, s)


def test_two_bottoms_with_a_learned_bias():
    rig = scale("bias_term: true bias_filler { value: 1 }", SHAPE, (3,))
    assert len(rig.layer.blobs) == 1
    check_gradient(rig, random(*SHAPE), random(3, seed=1))


@pytest.mark.parametrize("bias", ["true", "false"])
def test_in_place_gives_the_same(device, bias):
    x, g = random(*SHAPE), random(*SHAPE, seed=1)
    found = []
    for in_place in (False, True):
        rig = scale(f"bias_term: {bias} filler {{ value: 3 }}", in_place=in_place)
        found.append([rig.forward(x), rig.backward(g)[0], rig.layer.blobs[0].diff.copy()])
    for a, b in zip(*found):
        close(b, a)


@pytest.mark.parametrize(
    "body, shape, times",
    [
        ("", (2, 3, 4), 2),
        ("", (1, 3, 4), 1),  # one item: nothing is summed over the axes before the scale's
        ("num_axes: 0", (1, 3, 4), 2),
        ("axis: 0 num_axes: -1", (2, 3, 4), 1),  # as many scales as values
    ],
)
def test_what_two_backward_passes_leave(body, shape, times):
    rig = scale(body, shape)
    rig.forward(random(*shape))
    g = random(*shape, seed=1)
    rig.backward(g)
    once = rig.layer.blobs[0].diff.copy()
    rig.backward(g)
    close(rig.layer.blobs[0].diff, times * once)


def test_bad_use_is_refused():
    with pytest.raises(ShapeError, match=r"operand \(3, 5\) must match the bottom"):
        scale("", SHAPE, (3, 5))
    with pytest.raises(ShapeError, match="reaches past"):
        scale("axis: 3 num_axes: 2")
    with pytest.raises(ShapeError, match="must match"):
        scale("").reshape((2, 4, 4, 5))
