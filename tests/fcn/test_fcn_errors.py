"""What is told in one line: everything that a user can cause, and no fault of the code."""

import caffe
from fcn.device import NoDevice
from fcn.errors import USER_ERRORS, Diverged, StartError
from fcn.lock import Busy
from segdata import DataError


def test_what_a_user_can_mend_is_told_in_one_line():
    for error in (StartError, Diverged, Busy, NoDevice, DataError, OSError, LookupError):
        assert issubclass(error, USER_ERRORS), error
    if hasattr(caffe, "Error"):
        assert issubclass(caffe.Error, USER_ERRORS)


def test_faults_of_the_code_keep_their_traceback():
    for error in (TypeError, AttributeError, AssertionError, ZeroDivisionError, MemoryError):
        assert not issubclass(error, USER_ERRORS), error
