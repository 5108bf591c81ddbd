"""Weights from a caffemodel to HDF5 and back, and what is refused."""

import numpy as np
import pytest
from exporting import fill, net_text

import caffe
from caffe.export.formats import convert
from caffe.export.graph import ExportError
from caffe.weights import read_layers

FC = "type: 'InnerProduct' inner_product_param { num_output: 3 }"


@pytest.fixture
def files(tmp_path):
    """A prototxt of two layers, and weights of three."""
    (tmp_path / "more.prototxt").write_text(net_text([FC, FC, FC], (2, 4)))
    (tmp_path / "net.prototxt").write_text(net_text([FC, FC], (2, 4)))
    fill(caffe.Net(str(tmp_path / "more.prototxt"), caffe.TEST)).save(str(tmp_path / "w"))
    return tmp_path


def numbers(path):
    return {each.name: [blob.array() for blob in each.blobs] for each in read_layers(path)}


@pytest.mark.parametrize("to", ["caffemodel", "hdf5"])
def test_every_number_arrives_also_of_layers_that_the_net_lacks(files, to):
    names = convert(files / "net.prototxt", files / "w", files / "out", to)
    assert sorted(names) == ["l0", "l1", "l2"]
    right, got = numbers(files / "w"), numbers(files / "out")
    for name in names:
        assert len(got[name]) == 2
        for a, b in zip(right[name], got[name]):
            assert np.array_equal(a, b.reshape(a.shape))


def test_another_format_is_refused(files):
    with pytest.raises(ExportError, match="caffemodel or hdf5; received 'onyx'"):
        convert(files / "net.prototxt", files / "w", files / "out", "onyx")
    assert not (files / "out").exists()
