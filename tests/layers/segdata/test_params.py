"""param_str: a dict literal with the required keys, defaults for the others, no unknown ones."""

import pytest

from segdata import DataError
from segdata.params import numbers, parse_params


def parse(text):
    return parse_params(text, ["voc_dir", "split"], {"seed": 1, "mirror": False}, "Layer")


def test_defaults_complete_what_is_given():
    assert parse("{'voc_dir': 'x', 'split': 'val', 'mirror': True}") == {
        "voc_dir": "x",
        "split": "val",
        "seed": 1,
        "mirror": True,
    }


@pytest.mark.parametrize(
    "text, message",
    [
        ("{'voc_dir': 'x'}", "Layer: param_str lacks split; required: voc_dir, split"),
        ("", "lacks voc_dir, split"),
        ("['voc_dir']", "expected a dict in param_str, received list"),
        ("{'voc_dir': open('x')}", "is not a Python dict literal"),
        (
            "{'voc_dir': 'x', 'split': 'val', 'miror': True}",
            "unknown key 'miror' in param_str, did you mean 'mirror'\\?; known: voc_dir",
        ),
        ("{'voc_dir': 3, 'split': 'val'}", "expected text for 'voc_dir' in param_str; received 3"),
    ],
)
def test_what_is_wrong_is_told(text, message):
    with pytest.raises(DataError, match=message):
        parse(text)


def test_numbers_are_so_many_and_finite():
    assert numbers({"mean": (1, 2, 3)}, "mean", 3, "Layer").tolist() == [1, 2, 3]
    for bad in ((1, 2), "abc", (1, 2, float("nan")), 5):
        with pytest.raises(DataError, match="expected 3 numbers for 'mean'"):
            numbers({"mean": bad}, "mean", 3, "Layer")
