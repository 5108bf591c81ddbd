"""The Python layers of the studies."""

import numpy as np
import pytest
from fcn_helpers import net_of


def layer(tmp_path, kind, bottoms, options, tops=("a",)):
    """The tops of one of the experiments' layers for given bottoms."""
    text = ""
    for name, value in bottoms.items():
        dims = " ".join(f"dim: {d}" for d in value.shape)
        text += f'layer {{ name: "{name}" type: "Input" top: "{name}" '
        text += f"input_param {{ shape {{ {dims} }} }} }}\n"
    text += 'layer {{ name: "l" type: "Python" {} {} python_param {{ '.format(
        " ".join(f'bottom: "{name}"' for name in bottoms),
        " ".join(f'top: "{name}"' for name in tops),
    )
    text += f'module: "experiment_layers" layer: "{kind}" param_str: "{options!r}" }} }}'
    net = net_of(tmp_path, text)
    for name, value in bottoms.items():
        net.blobs[name].data[...] = value
    net.forward()
    return [net.blobs[name].data.copy() for name in tops]


def test_sampling_keeps_whole_cells_at_the_given_share(tmp_path):
    label = np.full((50, 1, 70, 96), 3, np.float32)
    (found,) = layer(
        tmp_path, "SampleLossLayer", {"label": label}, {"keep": 0.25, "cell": 32, "seed": 1}
    )
    cells = found[:, 0, ::32, ::32]
    assert set(np.unique(found)) == {3, 255}
    assert np.array_equal(found[:, 0], cells.repeat(32, 1).repeat(32, 2)[:, :70, :96])
    assert 0.2 < (cells == 3).mean() < 0.3


def test_presence_says_which_classes_are_there(tmp_path):
    label = np.zeros((2, 1, 4, 4), np.float32)
    label[0, 0, 1, 2], label[1, 0, 0, 0] = 2, 255
    (found,) = layer(tmp_path, "PresenceLayer", {"label": label}, {"classes": 3})
    assert found.reshape(2, 3).tolist() == [[1, 0, 1], [1, 0, 0]]


def test_jitter_moves_image_and_label_alike(tmp_path):
    image = np.arange(1, 61, dtype=np.float32).reshape(1, 1, 6, 10).repeat(20, 0)
    data, label = layer(
        tmp_path,
        "JitterLayer",
        {"data": image, "label": image % 7},
        {"by": 2, "seed": 3},
        ("a", "b"),
    )
    assert np.array_equal(data == 0, label == 255)
    assert np.array_equal((data % 7)[data > 0], label[data > 0])
    moves = set()
    for each in data[:, 0]:
        row, column = np.argwhere(each == 25)[0]  # at 2, 4
        moves.add((row - 2, column - 4))
        assert abs(row - 2) <= 2 and abs(column - 4) <= 2
    assert len(moves) > 5


@pytest.mark.parametrize(
    "hide, expected",
    [("foreground", [5, 0, 0, 5]), ("background", [0, 5, 0, 0]), ("both", [0, 64, 0, 0])],
)
def test_mask_hides_what_it_says(hide, expected, tmp_path):
    label = np.array([0, 2, 255, 1], np.float32).reshape(1, 1, 1, 4)
    image = np.full((1, 3, 1, 4), 5, np.float32)
    (found,) = layer(
        tmp_path, "MaskLayer", {"data": image, "label": label}, {"hide": hide, "foreground": [2]}
    )
    assert found[0].tolist() == [[expected]] * 3
