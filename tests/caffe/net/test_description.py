"""State rules and Split insertion, against what BVLC makes of the same nets."""

import pytest

from caffe.errors import PrototxtError
from caffe.net.description import filter_net, insert_splits
from caffe.proto import caffe_pb2
from caffe.prototxt import parse_text


def net(text):
    return parse_text(text, caffe_pb2.NetParameter())


def layers(param):
    return [(x.name, list(x.bottom), list(x.top)) for x in param.layer]


@pytest.mark.parametrize(
    ("rule", "state", "kept"),
    [
        ("include { phase: TRAIN }", "phase: TRAIN", True),
        ("include { phase: TRAIN }", "phase: TEST", False),
        ("exclude { phase: TRAIN }", "phase: TEST", True),
        ("exclude { phase: TRAIN }", "phase: TRAIN", False),
        ("include { min_level: 2 }", "level: 1", False),
        ("include { min_level: 2 }", "level: 2", True),
        ("include { max_level: 2 }", "level: 3", False),
        ("include { stage: 'a' stage: 'b' }", "stage: 'a'", False),
        ("include { stage: 'a' stage: 'b' }", "stage: 'b' stage: 'a' stage: 'c'", True),
        ("include { not_stage: 'a' }", "stage: 'a'", False),
        ("include { phase: TRAIN } include { stage: 'x' }", "phase: TEST stage: 'x'", True),
        ("exclude { phase: TRAIN } exclude { stage: 'x' }", "phase: TEST stage: 'x'", False),
    ],
)
def test_rules(rule, state, kept):
    filtered = filter_net(net(f"state {{ {state} }} layer {{ name: 'l' type: 'Silence' {rule} }}"))
    assert bool(filtered.layer) is kept


def test_include_and_exclude_together_are_refused():
    with pytest.raises(PrototxtError, match="'l'.*include rules or exclude rules"):
        filter_net(
            net(
                "layer { name: 'l' include { phase: TRAIN } exclude { level: 1 } }".replace(
                    "level: 1", "min_level: 1"
                )
            )
        )


def test_split_names_and_order():
    made = insert_splits(
        net("""
        layer { name: 'in' type: 'Input' top: 'x' }
        layer { name: 'a' type: 'ReLU' bottom: 'x' top: 'a' }
        layer { name: 'b' type: 'Eltwise' bottom: 'x' bottom: 'x' top: 'b' }
    """)
    )
    assert layers(made) == [
        ("in", [], ["x"]),
        ("x_in_0_split", ["x"], ["x_in_0_split_0", "x_in_0_split_1", "x_in_0_split_2"]),
        ("a", ["x_in_0_split_0"], ["a"]),
        ("b", ["x_in_0_split_1", "x_in_0_split_2"], ["b"]),
    ]


def test_an_in_place_layer_is_the_producer():
    made = insert_splits(
        net("""
        layer { name: 'in' type: 'Input' top: 'x' }
        layer { name: 'relu' type: 'ReLU' bottom: 'x' top: 'x' }
        layer { name: 'a' type: 'Silence' bottom: 'x' }
        layer { name: 'b' type: 'Silence' bottom: 'x' }
    """)
    )
    assert [name for name, _, _ in layers(made)] == ["in", "relu", "x_relu_0_split", "a", "b"]


def test_an_explicit_loss_weight_takes_the_first_copy():
    made = insert_splits(
        net("""
        layer { name: 'in' type: 'Input' top: 'x' }
        layer { name: 'l' type: 'Power' bottom: 'x' top: 'l' loss_weight: 3 }
        layer { name: 'use' type: 'Silence' bottom: 'l' }
    """)
    )
    loss, split, use = made.layer[1:]
    assert not loss.loss_weight
    assert split.name == "l_l_0_split" and list(split.loss_weight) == [3, 0]
    assert list(use.bottom) == ["l_l_0_split_1"]


def test_an_unknown_bottom_names_layer_and_near_blob():
    with pytest.raises(PrototxtError, match="Unknown bottom blob 'dat'.*'a'.*mean 'data'"):
        insert_splits(
            net("""
            layer { name: 'in' type: 'Input' top: 'data' }
            layer { name: 'a' type: 'ReLU' bottom: 'dat' top: 'a' }
        """)
        )
