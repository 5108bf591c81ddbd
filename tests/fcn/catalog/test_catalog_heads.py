"""The table of heads."""

from fcn.catalog import HEADS


def test_a_row_names_a_file_that_builds_it():
    for name, row in HEADS.items():
        assert callable(row.add), name
        if row.sums:
            assert callable(row.fuse), name
