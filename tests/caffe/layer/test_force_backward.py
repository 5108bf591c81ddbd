"""force_backward over layers that have no gradient for it: an exception where BVLC aborts."""

import numpy as np
import pytest

import caffe

NET = """
force_backward: true
layer {{ name: "in" type: "Input" top: "x" top: "index"
         input_param {{ shape {{ dim: 2 }} shape {{ dim: 2 }} }} }}
layer {{ name: "pick" type: "{}" bottom: "x" {} top: "y"
         embed_param {{ num_output: 1 input_dim: 2 weight_filler {{ value: 1 }} }} }}
"""


@pytest.mark.parametrize(
    "type_, more, message",
    [
        ("BatchReindex", 'bottom: "index"', "cannot propagate down to the index"),
        ("Filter", 'bottom: "index"', "cannot propagate down to the selector"),
        ("Embed", "", "cannot propagate down to its indices"),
        ("Threshold", "", "has no backward pass"),
    ],
)
def test_the_layer_is_named_and_the_net_stays_usable(tmp_path, type_, more, message):
    path = tmp_path / "net.prototxt"
    path.write_text(NET.format(type_, more))
    net = caffe.Net(str(path), caffe.TRAIN)
    for blob in net.blobs.values():
        blob.data[...] = 1
    before = net.forward()["y"].copy()
    with pytest.raises(caffe.Error, match=f"layer 'pick' .type {type_}.: {message}"):
        net.backward()
    assert before.size
    np.testing.assert_array_equal(net.forward()["y"], before)
