"""What nets/explain.py says of a net, and the page of facts."""

import os

import pytest
from fcn_helpers import ROOT

from nets import explain


@pytest.mark.slow
def test_the_page_of_facts_is_fresh():
    before = os.getcwd()
    os.chdir(ROOT)
    try:
        with open(explain.PAGE, encoding="utf-8") as f:
            assert f.read() == explain.table(), "run python nets/explain.py --table --write"
    finally:
        os.chdir(before)


def test_an_explanation_names_every_crop_and_the_ports():
    before = os.getcwd()
    os.chdir(ROOT)
    try:
        text = "\n".join(explain.explain("voc-fcn8s", 500, 334))
    finally:
        os.chdir(before)
    assert "score_pool3c: offset 9: score_pool3 at x/8 + 11.9375" in text
    assert "the scores are 504×336" in text
    assert "Keras" in text and "TensorFlow" in text and "PyTorch" in text
