"""Cases whose values a GPU draws from a generator of its own: they must run, and look right."""

import re

import numpy as np

__all__ = ["draws_on_the_device", "sane"]

_DRAWS = re.compile(r'type: "Dropout"|pool: STOCHASTIC')


def draws_on_the_device(case):
    """Whether BVLC Caffe's values cannot be those of a GPU here."""
    return case.get("phase") == "TRAIN" and _DRAWS.search(case["net"]) is not None


def sane(found, golden):
    """Whether such a case ran, with arrays of the expected names and shapes without NaN."""
    if found.status != "ok" or golden is None or set(found.arrays) != set(golden.arrays):
        return False
    return all(
        array.shape == golden.arrays[key].shape and not np.isnan(array).any()
        for key, array in found.arrays.items()
    )
