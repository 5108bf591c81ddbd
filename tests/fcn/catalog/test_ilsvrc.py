"""Which of ILSVRC's classes a dataset's classes consist of."""

import data
from fcn.catalog.ilsvrc import CONSISTS_OF


def test_classes_are_the_datasets_and_numbers_ilsvrcs_each_in_one_class():
    for name, classes in CONSISTS_OF.items():
        assert set(classes) < set(data.dataset(name).CLASSES)
        numbers = [number for found in classes.values() for number in found]
        assert len(set(numbers)) == len(numbers) and 0 <= min(numbers) <= max(numbers) < 1000


def test_person_and_background_have_nothing_there():
    assert {"person", "background"}.isdisjoint(CONSISTS_OF["voc"])
    assert CONSISTS_OF["voc"]["cat"] == (281, 282, 283, 284, 285)
    assert len(CONSISTS_OF["voc"]["dog"]) == 118
