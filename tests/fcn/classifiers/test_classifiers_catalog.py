"""The table of classifiers: each family has tests of its parameters."""

import importlib
import os

import pytest
from fcn_helpers import raised
from published_classifiers import NAMES

from fcn.classifiers import catalog

FAMILIES = [
    file[len("test_classifiers_") : -len(".py")]
    for file in sorted(os.listdir(os.path.dirname(os.path.abspath(__file__))))
    if file.startswith("test_classifiers_") and "catalog" not in file
]


def test_each_row_is_tested_in_its_family():
    found = []
    for family in FAMILIES:
        published = importlib.import_module(f"test_classifiers_{family}").PUBLISHED
        found += published
    assert sorted(found) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_row_has_what_a_user_must_know(name):
    row = catalog.classifier(name)
    assert row.name == name and row.parameters > 0 and row.measured >= 0
    assert row.input is None or (len(row.input) == 4 and min(row.input) > 0)


def test_another_name():
    assert "no classifier 'vgg17'" in raised(LookupError, catalog.classifier, "vgg17")
