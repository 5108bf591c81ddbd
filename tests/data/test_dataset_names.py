"""Datasets by name, or by the dataset.json that data/folder.py wrote."""

import pytest
from fcn_helpers import raised

import data
from fcn.catalog import datasets


@pytest.mark.parametrize("name", data.DATASETS)
def test_a_dataset_has_names_and_colours(name):
    found = data.dataset(name)
    assert len(set(found.CLASSES)) == len(found.CLASSES) and found.PALETTE.shape == (256, 3)


def test_names_of_a_folder_without_names_are_numbers():
    found = data.names_of(datasets.of_classes(3))
    assert found.CLASSES == ("class 0", "class 1", "class 2") and found.PALETTE.shape == (256, 3)


def test_another_name():
    assert "no dataset 'coco' in data/; there are camvid," in raised(
        LookupError, data.dataset, "coco"
    )
