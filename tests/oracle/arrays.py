"""Arrays described by a few numbers, so that a case is plain JSON and equal on every NumPy.

NumPy guarantees the stream of `RandomState` for all time, so the same description gives the same
bits under NumPy 1.19 and today's.
"""

import numpy as np


def make(spec, shape=None):
    """The float32 array that `spec` describes; `shape` is used where the spec has none.

    Kinds: normal (scale, shift), uniform (lo, hi), integers (lo, hi exclusive: makes ties), labels
    (classes, ignore: a label that a third of the places get), values (the numbers themselves).
    """
    shape = tuple(spec.get("shape", shape))
    rng = np.random.RandomState(spec.get("seed", 0))
    kind = spec["kind"]
    if kind == "normal":
        array = rng.standard_normal(shape) * spec.get("scale", 1) + spec.get("shift", 0)
    elif kind == "uniform":
        array = rng.uniform(spec["lo"], spec["hi"], shape)
    elif kind == "integers":
        array = rng.randint(spec["lo"], spec["hi"], shape)
    elif kind == "labels":
        array = np.asarray(rng.randint(0, spec["classes"], shape))
        if spec.get("ignore") is not None:
            array = np.where(rng.uniform(size=shape) < 1 / 3, spec["ignore"], array)
    elif kind == "values":
        array = np.reshape(spec["values"], shape)
    else:
        raise ValueError(f"unknown kind of array {kind!r}")
    return np.asarray(array, dtype=np.float32)
