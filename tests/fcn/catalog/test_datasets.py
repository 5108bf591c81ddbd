"""The datasets of the catalog: inputs, outputs, and what the command line makes of a name."""

import pytest
from fcn_helpers import raised

from fcn.catalog import datasets


@pytest.mark.parametrize("name", datasets.NAMED)
def test_a_dataset_says_where_its_splits_come_from(name):
    found = datasets.NAMED[name]
    assert found.inputs and found.outputs and len(found.files) == 2
    for split in (found.train, found.val):
        assert split.module.endswith("_layers") and split.layer.endswith("Layer")
    assert set(found.folders) <= set(found.train.params) | set(found.val.params)
    assert all(len(blob.mean) == blob.channels for blob in found.inputs)


def test_two_streams_are_of_nyud_alone():
    found, fusion = datasets.named("nyud", two_stream=True)
    assert [blob.blob for blob in found.inputs] == ["color", "hha"] and fusion == "late"
    assert "two image blobs: nyud; received voc" in raised(
        ValueError, datasets.named, "voc", two_stream=True
    )
    assert "no dataset 'coco'" in raised(LookupError, datasets.named, "coco")


def test_a_folder_of_which_only_the_number_of_classes_is_known():
    found = datasets.of_classes(7)
    assert found.classes == 7 and found.description is None
    assert found.train.module == "folder_layers"
