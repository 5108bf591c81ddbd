"""One solver of rank 0: what scripts ask is answered, what cannot be is refused."""

import pytest

import caffe


def test_defaults():
    assert (caffe.solver_count(), caffe.solver_rank(), caffe.has_nccl()) == (1, 0, False)


@pytest.mark.parametrize(
    ("name", "possible", "refused"),
    [("set_solver_count", 1, 2), ("set_solver_rank", 0, 1), ("set_multiprocess", False, True)],
)
def test_setters_take_what_is_and_refuse_the_rest(name, possible, refused):
    getattr(caffe, name)(possible)
    with pytest.raises(caffe.Error, match="one solver in one process"):
        getattr(caffe, name)(refused)
