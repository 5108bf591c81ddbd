"""Records what BVLC Caffe makes of small nets that turn on one rule each of how nets are built.

Run with the Python of BVLC Caffe, in this folder::

    python3 make_net_semantics.py        writes net_semantics.json

For every net: its layers, blobs, loss weights and inputs; what it saves; and, after the parameters
and inputs are filled, the loss, data and diffs of two forward and backward passes. Where a check
fails, the stage at which it does: building, forward or backward. BVLC ends the process there, so
each net has a child process of its own; the engine raises, and `describe` reports that alike. The
cases are also what the tests run.
"""

import json
import os
import sys
import tempfile
import zlib

os.environ.setdefault("GLOG_minloglevel", "3")

import numpy as np


def layer(name, kind, bottoms="", tops="", rest=""):
    """A layer in text; bottoms and tops are words."""
    blobs = "".join(f' bottom: "{b}"' for b in bottoms.split())
    blobs += "".join(f' top: "{t}"' for t in tops.split())
    return f'layer {{ name: "{name}" type: "{kind}"{blobs} {rest} }}\n'


def source(name, *dims):
    shape = " ".join(f"dim: {d}" for d in dims)
    return layer(name, "Input", "", name, f"input_param {{ shape {{ {shape} }} }}")


def dense(name, bottom, top, outputs, rest="", more=""):
    """An InnerProduct without bias."""
    param = f"inner_product_param {{ num_output: {outputs} bias_term: false {more} }}"
    return layer(name, "InnerProduct", bottom, top, f"{param} {rest}")


def power(name, bottom, top, scale=2, rest=""):
    return layer(name, "Power", bottom, top, f"power_param {{ scale: {scale} }} {rest}")


X = source("x", 2, 3)
T = source("t", 2, 3)
LABEL = source("label", 2)
ONE = dense("a", "x", "a", 3)
SOFTMAX = layer("loss", "SoftmaxWithLoss", "a label", "loss")
EUCLID = layer("loss", "EuclideanLoss", "a t", "loss")
FORCE = "force_backward: true\n"


def shared(first, second, outputs=3):
    """Two products whose weights have one name; the entries are given without the braces."""
    return (
        X
        + dense("a", "x", "a", 3, f'param {{ name: "w" {first} }}')
        + dense("b", "a", "b", outputs, f'param {{ name: "w" {second} }}')
        + layer("loss", "EuclideanLoss", "b u", "loss")
    )


def rule(kind, text, name="r"):
    return power(name, "x", name, 3, f"{kind} {{ {text} }}")


# name: (text, options). Options: phase (TRAIN unless given), level and stages of caffe.Net; or
# solver, the text of a solver whose train net it is; keep: parameters stay as they were built.
NETS = {
    # 2.2 state and filtering
    "rules of phase in TRAIN": (
        X + rule("include", "phase: TRAIN", "r") + rule("exclude", "phase: TRAIN", "s"),
        {},
    ),
    "rules of phase in TEST": (
        X + rule("include", "phase: TRAIN", "r") + rule("exclude", "phase: TRAIN", "s"),
        {"phase": 1},
    ),
    "levels": (
        X
        + "".join(
            rule("include", text, f"r{i}")
            for i, text in enumerate(
                (
                    "min_level: 1",
                    "min_level: 2",
                    "max_level: 1",
                    "max_level: 0",
                    "min_level: 1 max_level: 1",
                    "min_level: -1",
                )
            )
        ),
        {"level": 1},
    ),
    "a negative level": (
        X
        + rule("include", "min_level: -2 max_level: -1", "r")
        + rule("include", "min_level: 0", "s"),
        {"level": -1},
    ),
    "stages": (
        X
        + "".join(
            rule("include", text, f"r{i}")
            for i, text in enumerate(
                (
                    'stage: "p"',
                    'stage: "q"',
                    'stage: "p" stage: "q"',
                    'not_stage: "p"',
                    'not_stage: "z"',
                    'stage: "z"',
                    'stage: "p" not_stage: "q"',
                )
            )
        ),
        {"stages": ["p", "q"]},
    ),
    "stages are added to the file's": (
        'state { stage: "f" }'
        + X
        + rule("include", 'stage: "f"')
        + rule("include", 'stage: "p" stage: "f"', "s"),
        {"stages": ["p"]},
    ),
    "phase and level replace the file's": (
        "state { phase: TEST level: 5 }"
        + X
        + rule("include", "phase: TEST")
        + rule("include", "min_level: 5", "s")
        + rule("include", "phase: TRAIN", "u"),
        {},
    ),
    "several includes: one is enough": (
        X
        + power("r", "x", "r", 3, 'include { phase: TEST } include { stage: "p" }')
        + power("s", "x", "s", 3, 'include { phase: TEST } include { stage: "q" }'),
        {"stages": ["p"]},
    ),
    "several excludes: one is enough": (
        X
        + power("r", "x", "r", 3, 'exclude { phase: TEST } exclude { stage: "p" }')
        + power("s", "x", "s", 3, 'exclude { phase: TEST } exclude { stage: "q" }'),
        {"stages": ["p"]},
    ),
    "an empty include holds": (X + rule("include", ""), {}),
    "an empty exclude holds": (X + rule("exclude", ""), {}),
    "include and exclude": (
        X + power("r", "x", "r", 3, "include { phase: TRAIN } exclude { phase: TEST }"),
        {},
    ),
    "a bottom whose maker is filtered": (
        X + rule("include", "phase: TEST") + power("s", "r", "s"),
        {},
    ),
    "a layer's own phase": (
        X
        + layer("d", "Dropout", "x", "d", "phase: TEST")
        + layer("e", "Dropout", "d", "e", "dropout_param { dropout_ratio: 0 }"),
        {},
    ),
    "a layer's own phase does not filter": (
        X + power("r", "x", "r", 3, "phase: TEST include { phase: TRAIN }"),
        {},
    ),
    "a solver's train_state is merged over the file's": (
        'state { level: 1 stage: "f" }'
        + X
        + dense("a", "x", "a", 3)
        + rule("include", 'stage: "f" stage: "s"', "r0")
        + rule("include", "min_level: 2", "r1")
        + rule("include", "phase: TRAIN", "r2")
        + rule("include", 'stage: "f"', "r3"),
        {"solver": 'net: "net.prototxt" train_state { level: 2 stage: "s" }'},
    ),
    "a file's state outranks that a solver trains": (
        "state { phase: TEST }"
        + X
        + dense("a", "x", "a", 3)
        + rule("include", "phase: TEST", "r0")
        + rule("include", "phase: TRAIN", "r1"),
        {"solver": 'net: "net.prototxt"'},
    ),
    "a solver's phase outranks the file's": (
        "state { phase: TEST }"
        + X
        + dense("a", "x", "a", 3)
        + rule("include", "phase: TEST", "r0")
        + rule("include", "phase: TRAIN", "r1"),
        {"solver": 'net: "net.prototxt" train_state { phase: TRAIN }'},
    ),
    "a net inside a solver": (X, {"solver": "net_param { " + X + dense("a", "x", "a", 2) + "}"}),
    "V1 inside a solver is not upgraded": (
        X,
        {"solver": "net_param { " + X + 'layers { name: "a" type: RELU bottom: "x" top: "a" } }'},
    ),
    "legacy inputs inside a solver are not upgraded": (
        X,
        {"solver": 'net_param { input: "x" input_shape { dim: 2 } ' + power("a", "x", "a") + "}"},
    ),
    # 2.3 splits
    "split of three": (
        FORCE
        + X
        + power("a", "x", "a")
        + power("b", "a", "b", 3)
        + power("c", "a", "c", 5)
        + power("d", "a", "d", 7),
        {},
    ),
    "one bottom twice": (FORCE + X + layer("e", "Eltwise", "x x", "e"), {}),
    "split after a layer in place": (
        FORCE
        + X
        + power("a", "x", "a")
        + layer("r", "ReLU", "a", "a")
        + power("b", "a", "b", 3)
        + power("c", "a", "c", 5),
        {},
    ),
    "read before it is modified in place": (
        X + power("a", "x", "a") + power("b", "a", "b") + layer("r", "ReLU", "a", "a"),
        {},
    ),
    "modified in place twice": (
        FORCE
        + X
        + power("a", "x", "a")
        + layer("r", "ReLU", "a", "a")
        + power("s", "a", "a", 3)
        + power("b", "a", "b", 5),
        {},
    ),
    "the second top of a layer is split": (
        FORCE
        + X
        + layer("s", "Slice", "x", "p q", "slice_param { slice_point: 1 }")
        + power("b", "q", "b", 3)
        + power("c", "q", "c", 5),
        {},
    ),
    "a layer name with slashes is split": (
        FORCE
        + X
        + power("i/a", "x", "i/a")
        + power("b", "i/a", "b", 3)
        + power("c", "i/a", "c", 5),
        {},
    ),
    "a split that does not backpropagate": (
        X
        + LABEL
        + ONE
        + power("b", "a", "b", 3, "propagate_down: false")
        + SOFTMAX
        + layer("s", "Silence", "b"),
        {},
    ),
    "a loss with a default weight that is read": (
        X + LABEL + ONE + SOFTMAX + layer("s", "Silence", "loss"),
        {},
    ),
    "a loss with a default weight under another loss": (
        X + LABEL + ONE + SOFTMAX + power("p", "loss", "p", 2, "loss_weight: 1"),
        {},
    ),
    "a loss with a weight that is read": (
        X
        + LABEL
        + ONE
        + layer("loss", "SoftmaxWithLoss", "a label", "loss", "loss_weight: 3")
        + layer("s", "Silence", "loss"),
        {},
    ),
    "a weighted top that is read": (
        X
        + ONE.replace("} }", "} loss_weight: 2 }", 1)
        + power("b", "a", "b", 3, "loss_weight: 0.5"),
        {},
    ),
    "a weight of 0 that is read": (
        X
        + LABEL
        + ONE
        + layer("loss", "SoftmaxWithLoss", "a label", "loss", "loss_weight: 0")
        + power("p", "loss", "p"),
        {},
    ),
    # 2.4 wiring
    "an unknown bottom": (X + power("a", "y", "a"), {}),
    "a bottom made only later": (X + power("a", "b", "a") + power("b", "x", "b"), {}),
    "one top twice": (X + power("a", "x", "a") + power("b", "x", "a"), {}),
    "a top of the bottom's name at another index": (X + T + layer("e", "Eltwise", "x t", "t"), {}),
    "two tops of one name": (
        X + layer("s", "Slice", "x", "p p", "slice_param { slice_point: 1 }"),
        {},
    ),
    "outputs in alphabetical order": (
        X
        + power("z", "x", "zz")
        + power("b", "x", "b")
        + power("m", "x", "Mm")
        + power("n", "x", "_n"),
        {},
    ),
    "two layers of one name": (FORCE + X + dense("a", "x", "b", 2) + dense("a", "b", "c", 2), {}),
    "a loss without a top": (X + LABEL + ONE + layer("loss", "SoftmaxWithLoss", "a label"), {}),
    "a loss without a top, weighted": (
        X + LABEL + ONE + layer("loss", "SoftmaxWithLoss", "a label", "", "loss_weight: 2"),
        {},
    ),
    "two losses without tops": (
        X
        + LABEL
        + T
        + ONE
        + layer("l", "SoftmaxWithLoss", "a label")
        + layer("m", "EuclideanLoss", "a t"),
        {},
    ),
    "no automatic top for other layers": (X + layer("p", "Power", "x", ""), {}),
    "too many tops": (X + layer("p", "Power", "x", "a b"), {}),
    "too few bottoms": (X + layer("e", "Eltwise", "x", "e"), {}),
    "too many bottoms": (X + T + layer("p", "Power", "x t", "p"), {}),
    "too many param entries": (X + dense("a", "x", "a", 3, "param { } param { }"), {}),
    "param entries of a layer without parameters": (X + power("a", "x", "a", 2, "param { }"), {}),
    "propagate_down of another count": (
        X + power("a", "x", "a", 2, "propagate_down: true propagate_down: true"),
        {},
    ),
    "an unknown type": (X + layer("a", "Powr", "x", "a"), {}),
    "a layer without a type": (X + 'layer { name: "a" bottom: "x" top: "a" }', {}),
    "a layer without a name": (
        FORCE
        + X
        + 'layer { type: "Power" bottom: "x" top: "a" }'
        + power("b", "a", "b")
        + power("c", "a", "c"),
        {},
    ),
    "parameters stored in the prototxt": (
        FORCE
        + X
        + dense("a", "x", "a", 1, "blobs { shape { dim: 1 dim: 3 } data: 1 data: 2 data: 3 }"),
        {"keep": True},
    ),
    "parameters stored with legacy axes": (
        FORCE
        + X
        + dense(
            "a",
            "x",
            "a",
            1,
            "blobs { num: 1 channels: 1 height: 1 width: 3 data: 1 data: 2 data: 3 }",
        ),
        {"keep": True},
    ),
    "parameters stored as doubles": (
        FORCE
        + X
        + dense(
            "a",
            "x",
            "a",
            1,
            "blobs { shape { dim: 1 dim: 3 } double_data: 1 double_data: 2 double_data: 3 }",
        ),
        {"keep": True},
    ),
    "a stored blob of another size": (
        X + dense("a", "x", "a", 1, "blobs { shape { dim: 1 dim: 2 } data: 1 data: 2 }"),
        {},
    ),
    "an empty net": ('name: "nothing"', {}),
    "a net with inputs alone": (X + T, {}),
    "legacy inputs": (
        'input: "x" input_dim: 2 input_dim: 3 input_dim: 1 input_dim: 1 '
        'input: "y" input_dim: 1 input_dim: 2 input_dim: 1 input_dim: 1\n'
        + power("a", "x", "a")
        + power("b", "y", "b"),
        {},
    ),
    "legacy inputs with shapes": (
        'input: "x" input_shape { dim: 4 dim: 2 }' + power("a", "x", "a"),
        {},
    ),
    "legacy inputs without shapes": ('input: "x"' + power("a", "x", "a"), {}),
    "legacy inputs of too few numbers": ('input: "x" input_dim: 2' + power("a", "x", "a"), {}),
    "legacy inputs of both kinds": (
        'input: "x" input_shape { dim: 4 } input_dim: 1 input_dim: 1 input_dim: 1 input_dim: 1'
        + power("a", "x", "a"),
        {},
    ),
    "V1": (
        'input: "x" input_dim: 2 input_dim: 3 input_dim: 1 input_dim: 1 '
        'layers { name: "a" type: INNER_PRODUCT bottom: "x" top: "a" blobs_lr: 1 blobs_lr: 0 '
        "weight_decay: 2 weight_decay: 3 inner_product_param { num_output: 2 } } "
        'layers { name: "s" type: SOFTMAX_LOSS bottom: "a" bottom: "l" top: "s" '
        "include { phase: TEST } } "
        'layers { name: "r" type: RELU bottom: "a" top: "a" loss_weight: 2 }',
        {},
    ),
    "V1 with shared parameters": (
        'input: "x" input_dim: 2 input_dim: 3 input_dim: 1 input_dim: 1 force_backward: true '
        'layers { name: "a" type: INNER_PRODUCT bottom: "x" top: "a" param: "w" '
        "inner_product_param { num_output: 3 bias_term: false } } "
        'layers { name: "b" type: INNER_PRODUCT bottom: "a" top: "b" param: "w" '
        "blob_share_mode: PERMISSIVE inner_product_param { num_output: 3 bias_term: false } }",
        {},
    ),
    "layer and layers": (X + 'layers { name: "a" type: RELU bottom: "x" top: "a" }', {}),
    "a required field is missing": (X + layer("c", "Clip", "x", "c", "clip_param { min: 0 }"), {}),
    "an unknown field": (X + power("a", "x", "a", 2, "foo: 1"), {}),
    # 2.5 loss weights
    "two weights for one top": (X + power("a", "x", "a", 2, "loss_weight: 1 loss_weight: 2"), {}),
    "one weight for two tops": (
        X
        + LABEL
        + ONE
        + layer("loss", "SoftmaxWithLoss", "a label", "loss prob", "loss_weight: 1"),
        {},
    ),
    "no weight for two tops": (
        X + LABEL + ONE + layer("loss", "SoftmaxWithLoss", "a label", "loss prob"),
        {},
    ),
    "two weights for two tops": (
        X
        + LABEL
        + ONE
        + layer("loss", "SoftmaxWithLoss", "a label", "loss prob", "loss_weight: 2 loss_weight: 0"),
        {},
    ),
    "a weight for any top": (X + ONE + power("p", "a", "p", 2, "loss_weight: 0.5"), {}),
    "a negative weight": (
        X + LABEL + ONE + layer("loss", "SoftmaxWithLoss", "a label", "loss", "loss_weight: -1"),
        {},
    ),
    "a weight in place": (X + ONE + layer("r", "ReLU", "a", "a", "loss_weight: 2"), {}),
    # 2.6 what runs backward
    "no loss, no backward": (X + ONE, {}),
    "no loss but force_backward": (FORCE + X + ONE, {}),
    "lr_mult 0": (X + LABEL + dense("a", "x", "a", 3, "param { lr_mult: 0 }") + SOFTMAX, {}),
    "lr_mult 0 with force_backward": (
        FORCE + X + LABEL + dense("a", "x", "a", 3, "param { lr_mult: 0 }") + SOFTMAX,
        {},
    ),
    "lr_mult 0 below what learns": (
        X
        + LABEL
        + dense("b", "x", "b", 3, "param { lr_mult: 0 }")
        + dense("a", "b", "a", 3)
        + SOFTMAX,
        {},
    ),
    "lr_mult 0 above what learns": (
        X
        + LABEL
        + dense("b", "x", "b", 3)
        + dense("a", "b", "a", 3, "param { lr_mult: 0 }")
        + SOFTMAX,
        {},
    ),
    "lr_mult 0 of the bias": (
        X
        + LABEL
        + layer(
            "a",
            "InnerProduct",
            "x",
            "a",
            "inner_product_param { num_output: 3 } param { } param { lr_mult: 0 }",
        )
        + SOFTMAX,
        {},
    ),
    "propagate_down to an input": (
        X + LABEL + dense("a", "x", "a", 3, "propagate_down: true") + SOFTMAX,
        {},
    ),
    "propagate_down to an input of what learns nothing": (
        X + T + layer("s", "Sigmoid", "x", "a", "propagate_down: true") + EUCLID,
        {},
    ),
    "propagate_down to the input of a loss": (
        X
        + T
        + layer(
            "loss", "EuclideanLoss", "x t", "loss", "propagate_down: true propagate_down: false"
        ),
        {},
    ),
    "propagate_down: false cuts": (
        X
        + LABEL
        + dense("b", "x", "b", 3)
        + dense("a", "b", "a", 3, "propagate_down: false")
        + SOFTMAX,
        {},
    ),
    "propagate_down: false to one of two": (
        X
        + LABEL
        + dense("b", "x", "b", 3)
        + dense("c", "x", "c", 3)
        + layer("a", "Eltwise", "b c", "a", "propagate_down: true propagate_down: false")
        + SOFTMAX,
        {},
    ),
    "propagate_down: false with force_backward": (
        FORCE
        + X
        + LABEL
        + dense("b", "x", "b", 3)
        + dense("a", "b", "a", 3, "propagate_down: false")
        + SOFTMAX,
        {},
    ),
    "propagate_down to a label": (
        X
        + LABEL
        + ONE
        + layer(
            "loss",
            "SoftmaxWithLoss",
            "a label",
            "loss",
            "propagate_down: true propagate_down: true",
        ),
        {},
    ),
    "force_backward gives both bottoms of EuclideanLoss a diff": (FORCE + X + T + ONE + EUCLID, {}),
    "force_backward with Accuracy": (
        FORCE + X + LABEL + ONE + layer("acc", "Accuracy", "a label", "acc") + SOFTMAX,
        {},
    ),
    "Accuracy without force_backward": (
        X + LABEL + ONE + layer("acc", "Accuracy", "a label", "acc") + SOFTMAX,
        {},
    ),
    "force_backward with ArgMax": (FORCE + X + layer("m", "ArgMax", "x", "m"), {}),
    "a branch that is under no loss": (
        X
        + LABEL
        + dense("b", "x", "b", 3)
        + dense("c", "b", "c", 2)
        + dense("a", "b", "a", 3)
        + SOFTMAX,
        {},
    ),
    "a branch that ends in Silence": (
        X
        + LABEL
        + dense("b", "x", "b", 3)
        + layer("s", "Silence", "b")
        + dense("a", "b", "a", 3)
        + SOFTMAX,
        {},
    ),
    "BatchNorm without entries counts as learnable": (
        X + T + power("p", "x", "p") + layer("a", "BatchNorm", "p", "a") + EUCLID,
        {},
    ),
    "BatchNorm with three entries does not": (
        X
        + T
        + power("p", "x", "p")
        + layer("a", "BatchNorm", "p", "a", "param { lr_mult: 0 } " * 3)
        + EUCLID,
        {},
    ),
    "BatchNorm with multipliers": (
        X + layer("a", "BatchNorm", "x", "a", "param { lr_mult: 1 } " * 2),
        {},
    ),
    "three multipliers of BatchNorm are made 0": (
        X + T + layer("a", "BatchNorm", "x", "a", "param { lr_mult: 1 } " * 3) + EUCLID,
        {},
    ),
    "BatchNorm ignores propagate_down": (
        X
        + T
        + dense("b", "x", "b", 3)
        + layer("a", "BatchNorm", "b", "a", "propagate_down: false")
        + EUCLID,
        {},
    ),
    # 2.7 sharing
    "shared parameters": (source("u", 2, 3) + shared("", ""), {}),
    "shared, with lr_mult at the first": (source("u", 2, 3) + shared("lr_mult: 0", ""), {}),
    "shared, with lr_mult at the second": (source("u", 2, 3) + shared("", "lr_mult: 0"), {}),
    "shared, with one lr_mult at both": (
        source("u", 2, 3) + shared("lr_mult: 2", "lr_mult: 2"),
        {},
    ),
    "shared, with two lr_mult": (source("u", 2, 3) + shared("lr_mult: 2", "lr_mult: 3"), {}),
    "shared, with lr_mult 1 and none": (source("u", 2, 3) + shared("lr_mult: 1", ""), {}),
    "shared, with two decay_mult": (
        source("u", 2, 3) + shared("decay_mult: 2", "decay_mult: 3"),
        {},
    ),
    "shared, of another shape": (source("u", 2, 2) + shared("", "", 2), {}),
    "shared, of another count, permissive": (
        source("u", 2, 2) + shared("", "share_mode: PERMISSIVE", 2),
        {},
    ),
    "shared, of another shape, permissive": (
        FORCE
        + X
        + dense("a", "x", "a", 2, 'param { name: "w" }')
        + dense("b", "a", "b", 3, 'param { name: "w" share_mode: PERMISSIVE }'),
        {},
    ),
    "shared, of another shape, permissive at the owner alone": (
        FORCE
        + X
        + dense("a", "x", "a", 2, 'param { name: "w" share_mode: PERMISSIVE }')
        + dense("b", "a", "b", 3, 'param { name: "w" }'),
        {},
    ),
    "shared by three": (
        FORCE
        + X
        + "".join(
            dense(t, b, t, 3, 'param { name: "w" }')
            for b, t in (("x", "a"), ("a", "b"), ("b", "c"))
        ),
        {},
    ),
    "shared within one layer": (
        FORCE
        + source("x", 2, 1)
        + layer(
            "a",
            "InnerProduct",
            "x",
            "a",
            'inner_product_param { num_output: 2 } param { name: "w" } '
            'param { name: "w" share_mode: PERMISSIVE }',
        ),
        {},
    ),
    "names of their own": (
        FORCE
        + X
        + dense("a", "x", "a", 3, 'param { name: "w" }')
        + dense("b", "a", "b", 3, 'param { name: "v" }'),
        {},
    ),
}


def describe(text, options, folder, stage):
    """The plain description of one net; `stage` is called with what has been done so far."""
    from google.protobuf import text_format

    import caffe

    path = os.path.join(folder, "net.prototxt")
    with open(path, "w") as stream:
        stream.write(text)
    arguments = {k: v for k, v in options.items() if k in ("level", "stages")}
    if "solver" in options:
        solver_path = os.path.join(folder, "solver.prototxt")
        with open(solver_path, "w") as stream:
            stream.write(
                'base_lr: 1 lr_policy: "fixed" solver_mode: CPU\n'
                + options["solver"].replace("net.prototxt", path)
            )
        solver = caffe.SGDSolver(solver_path)  # kept: the net belongs to it
        net = solver.net
    else:
        net = caffe.Net(path, options.get("phase", 0), **arguments)
    names = list(net._blob_names)  # of equal names all, unlike net.blobs
    out = {
        "layers": [
            [
                name,
                one.type,
                [names[j] for j in net._bottom_ids(i)],
                [names[j] for j in net._top_ids(i)],
            ]
            for i, (name, one) in enumerate(zip(net._layer_names, net.layers))
        ],
        "blobs": [[name, list(blob.data.shape)] for name, blob in net.blobs.items()],
        "loss weights": [[name, weight] for name, weight in net.blob_loss_weights.items()],
        "inputs": list(net.inputs),
        "outputs": list(net.outputs),
        "params": [
            [name, [list(b.data.shape) for b in blobs]] for name, blobs in net.params.items()
        ],
    }
    net.save(os.path.join(folder, "net.caffemodel"))
    saved = caffe.proto.caffe_pb2.NetParameter()
    with open(os.path.join(folder, "net.caffemodel"), "rb") as stream:
        saved.ParseFromString(stream.read())
    out["blobs saved"] = [len(one.blobs) for one in saved.layer]
    for one in saved.layer:
        one.ClearField("blobs")
    out["saved"] = text_format.MessageToString(saved)
    stage("forward", out)
    for number, one in enumerate(net.layers):
        for i, blob in enumerate(one.blobs):
            if not options.get("keep"):
                blob.data[...] = values(f"{number}/{i}", blob.data.shape)
    for name in net.inputs:
        shape = net.blobs[name].data.shape
        net.blobs[name].data[...] = np.arange(shape[0]) if name == "label" else values(name, shape)
    for name, blob in net.blobs.items():
        if not net.blob_loss_weights[name]:
            blob.diff[...] = 0.25  # what nobody writes keeps it
    for turn in ("first", "second"):
        out[f"{turn} loss"] = net._forward(0, len(net.layers) - 1)
        out[f"{turn} data"] = {n: numbers(b.data) for n, b in net.blobs.items()}
        stage("backward", out)
        net._backward(len(net.layers) - 1, 0)
        out[f"{turn} diff"] = {n: numbers(b.diff) for n, b in net.blobs.items()}
        out[f"{turn} param diff"] = {
            n: [numbers(b.diff) for b in blobs] for n, blobs in net.params.items()
        }
    return out


def values(name, shape):
    """Values that follow from a name."""
    return np.random.RandomState(zlib.crc32(name.encode())).randn(*shape)


def numbers(array):
    return [float(f"{value:.6g}") for value in np.asarray(array, np.float64).ravel()]


def alone(name):
    """The description of one case from a child process; {"fails": stage} where a check fails."""
    text, options = NETS[name]
    with tempfile.TemporaryDirectory() as folder:
        result = os.path.join(folder, "result.json")

        def write(content):
            with open(result + ".part", "w") as stream:
                json.dump(content, stream)
            os.rename(result + ".part", result)

        write({"fails": "building"})
        child = os.fork()
        if child == 0:
            sys.stderr.flush()
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            try:
                write(describe(text, options, folder, lambda stage, out: write({"fails": stage})))
            except Exception as error:
                write({"raises": repr(error)})
            os._exit(0)  # past the folder's clean-up, which is the parent's
        os.waitpid(child, 0)
        with open(result) as stream:
            return json.load(stream)


def main():
    import caffe

    if hasattr(caffe, "__engine__"):
        raise SystemExit("this is not BVLC Caffe")
    out = {"engine": "BVLC Caffe " + caffe.__version__}
    out.update((name, alone(name)) for name in NETS)
    lines = [f" {json.dumps(k)}: {json.dumps(v, sort_keys=True)}" for k, v in out.items()]
    target = sys.argv[1] if len(sys.argv) > 1 else "net_semantics.json"
    with open(target, "w") as stream:
        stream.write("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
