"""Each study is a script that says which of the papers it repeats."""

import os

from fcn_helpers import ROOT

NAMES = (
    "augmentation",
    "class_balancing",
    "initial_scores",
    "label_bound",
    "masking",
    "momentum",
    "pool5_stride",
    "streams",
    "whole_images",
)


def test_scripts_are_at_their_place():
    for name in NAMES:
        with open(os.path.join(ROOT, "papers", name + ".py"), encoding="utf-8") as f:
            assert "paper" in f.readline() + f.readline()
