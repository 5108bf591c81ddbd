"""Every test file is run on BVLC Caffe, or said not to be."""

import fcn_tests


def test_no_test_file_is_forgotten():
    assert fcn_tests.forgotten() == []
