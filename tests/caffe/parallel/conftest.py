"""Each test begins and ends as one solver."""

import pytest

from caffe import rank


@pytest.fixture(autouse=True)
def one_solver_again():
    yield
    rank._place.__dict__.clear()
