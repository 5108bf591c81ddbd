"""The one exception of the data layers, by each of its names."""

import pickle

import segdata
from segdata.errors import DataError


def test_it_is_one_class_and_goes_between_processes():
    assert segdata.DataError is DataError and issubclass(DataError, RuntimeError)
    sent = pickle.loads(pickle.dumps(DataError("what is wrong, with 'file'")))
    assert type(sent) is DataError and str(sent) == "what is wrong, with 'file'"
