"""What the tests of the heads read of a net: a layer, a blob, and that two are equal."""

import numpy as np


def layer(param, name):
    return next(layer for layer in param.layer if layer.name == name)


def value(net, name):
    return np.array(net.blobs[name].data)


def close(found, expected):
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
