"""CamVid from its authors: 701 stills and labels in colours."""

import os

import pytest

from data import camvid
from data.preparing import camvid_original


def test_camvid_groups_are_the_32_classes():
    names = [name for group in camvid_original.GROUPS.values() for name in group]
    colours = [colour for group in camvid_original.GROUPS.values() for colour in group.values()]
    assert list(camvid_original.GROUPS) == list(camvid.CLASSES)
    assert len(set(names)) == len(set(colours)) == len(names) == 31  # and Void


def test_camvid_splits_of_other_names():
    assert camvid_original.split_of("0001TP_x") is None
    assert camvid_original.split_of("README") is None


@pytest.mark.data
def test_camvid_split_rule_on_the_published_lists():
    """Where CamVid's lists are at hand, the rule gives them."""
    import bootstrap

    folder = os.path.join(
        os.environ.get("FCN_DATA", os.path.join(bootstrap.ROOT, os.pardir, "shared", "data")),
        "camvid",
    )
    if not os.path.isdir(folder):
        pytest.skip(f"no CamVid in '{folder}'; FCN_DATA says where the data is")
    for split in camvid.SPLITS:
        with open(os.path.join(folder, split + ".txt"), encoding="utf-8") as lines:
            names = lines.read().split()
        assert [camvid_original.split_of(name) for name in names] == [split] * len(names)
