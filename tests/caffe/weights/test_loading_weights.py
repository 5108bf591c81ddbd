"""Weights into a net: by name, all or nothing."""

import numpy as np
import pytest
from weight_files import GOLDEN, empty_net

from caffe import weights
from caffe.blob import Blob
from caffe.errors import WeightsError


def test_load_copies_by_name_and_returns_the_names_the_net_lacks(values):
    net = empty_net(values)
    del net[1]  # conv
    ignored = weights.load(GOLDEN / "snap_with_diff.caffemodel", [*net, ("new", [Blob((2,))])])
    assert {"conv", "loss1"} < set(ignored) and not {"norm", "ip1"} & set(ignored)
    for name, blobs in net:
        for i, blob in enumerate(blobs):
            np.testing.assert_array_equal(blob.data, values[f"{name}.{i}"])
            np.testing.assert_array_equal(blob.diff, values[f"{name}.{i}.diff"])


def test_load_copies_into_the_first_of_two_layers_of_one_name(values):
    first, second = Blob((2, 3, 3, 3)), Blob((2, 3, 3, 3))
    weights.load(GOLDEN / "snap_iter_3.caffemodel", [("conv", [first]), ("conv", [second])])
    np.testing.assert_array_equal(first.data, values["conv.0"])
    assert not np.any(second.data)


def test_load_of_a_different_number_of_blobs_is_an_error():
    with pytest.raises(WeightsError, match="number of blobs for layer 'ip1'.*has 2, the net 1"):
        weights.load(GOLDEN / "snap_iter_3.caffemodel", [("ip1", [Blob((4, 18))])])


@pytest.mark.parametrize("name", ["snap_iter_3.caffemodel", "snap_iter_3.caffemodel.h5"])
def test_load_of_what_does_not_fit_copies_nothing(values, name):
    if name.endswith("h5"):
        pytest.importorskip("h5py")
    net = empty_net(values)
    net[-2][1][1] = Blob((1, 4))
    with pytest.raises(
        WeightsError, match=r"Cannot copy param 1 .*'ip1'.*has 4 \(4\), the net 1 4"
    ):
        weights.load(GOLDEN / name, net)
    assert not any(np.any(blob.data) for _, blobs in net for blob in blobs)
