"""dataset.json there and back, and what it must not hold."""

import json

import numpy as np
import pytest
from fcn_helpers import raised

from fcn.catalog import description
from fcn.catalog.description import content_of, described_by, read_description, write_description

CONTENT = {
    "name": "trees",
    "classes": 2,
    "names": ["ground", "tree"],
    "palette": [[1, 2, 3], [4, 5, 6]],
    "mean": [10.5, 20, 30],
    "size": [24, 32],
    "images": {"train": 3, "val": 1},
    "layer": {"module": "folder_layers", "layer": "FolderSegDataLayer", "train": {}, "val": {}},
}


def test_what_is_written_is_read(tmp_path):
    path = str(tmp_path / "dataset.json")
    found = described_by(CONTENT)
    assert found.CLASSES == ("ground", "tree") and found.PALETTE.shape == (256, 3)
    write_description(path, found)
    again = read_description(path)
    assert content_of(again) == content_of(found) == CONTENT
    assert np.array_equal(again.PALETTE, found.PALETTE)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"classes": 3}, "'names' is not of the kind"),
        ({"names": ["ground", 2]}, "'names' is not of the kind"),
        ({"mean": [1, 2]}, "'mean' is not of the kind"),
        ({"mean": [1, 2, float("nan")]}, "'mean' is not of the kind"),
        ({"size": [0, 3]}, "'size' is not of the kind"),
        ({"images": {"train": "3", "val": 1}}, "'images' is not of the kind"),
        ({"layer": {**CONTENT["layer"], "module": "os"}}, "module is 'os'; there are camvid_"),
    ],
)
def test_what_nets_could_not_be_made_from_is_refused(change, words):
    assert words in raised(ValueError, described_by, {**CONTENT, **change})


def test_a_file_of_another_kind_is_named(tmp_path):
    path = tmp_path / "dataset.json"
    for text in ("[]", "{", json.dumps({"name": 3})):
        path.write_text(text)
        assert f"'{path}' is not what data/folder.py writes" in raised(
            ValueError, read_description, str(path)
        )
    assert description.ROOT  # the data layers are looked up there
