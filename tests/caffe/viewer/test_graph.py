"""Which layers share a box, and where the arrows go."""

from caffe.viewer.facts import Facts
from caffe.viewer.graph import boxes


def row(name, kind, bottoms, tops):
    return Facts(name, kind, list(bottoms), list(tops), "")


def test_layers_in_place_join_the_box_of_their_blob():
    made, edges = boxes(
        [
            row("data", "Input", "", "d"),
            row("conv", "Convolution", "d", "c"),
            row("relu", "ReLU", "c", "c"),
            row("drop", "Dropout", "c", "c"),
            row("score", "Convolution", "c", "s"),
        ]
    )
    assert [[layer.name for layer in box.layers] for box in made] == [
        ["data"],
        ["conv", "relu", "drop"],
        ["score"],
    ]
    assert [(e.source, e.target, e.blob) for e in edges] == [(0, 1, "d"), (1, 2, "c")]


def test_one_in_place_after_another_reader_stands_alone():
    made, edges = boxes(
        [
            row("conv", "Convolution", "", "c"),
            row("pool", "Pooling", "c", "p"),
            row("relu", "ReLU", "c", "c"),
            row("next", "Convolution", "c", "n"),
        ]
    )
    assert len(made) == 4
    assert [(e.source, e.target) for e in edges] == [(0, 1), (0, 2), (2, 3)]


def test_the_second_bottom_of_a_crop_gives_only_the_size():
    _, edges = boxes(
        [
            row("data", "Input", "", "d"),
            row("up", "Deconvolution", "d", "u"),
            row("crop", "Crop", "ud", "s"),
        ]
    )
    assert [(e.source, e.target, e.size_only) for e in edges] == [
        (0, 1, False),
        (1, 2, False),
        (0, 2, True),
    ]
