"""Where blobs lie in the image, and the crops that align them."""

import numpy as np
from fcn_helpers import raised

import caffe
from caffe import coord_map
from fcn.catalog import BACKBONES
from fcn.geometry import align


def test_offsets_are_those_of_coord_map():
    n = caffe.NetSpec()
    n.data = caffe.layers.Input(shape=dict(dim=[1, 3, 90, 90]))
    features = BACKBONES["vgg16"].add(n, n.data, "deploy", True)
    for skip in features.skips.values():
        for like in (n.data, skip.blob):
            top = caffe.layers.Deconvolution(
                skip.blob, convolution_param=dict(num_output=3, kernel_size=16, stride=8)
            )
            ours = [align.place(blob) for blob in (top, like)]
            axis, scale, shift = coord_map.coord_map_from_to(top, like)
            assert float(ours[1][0] / ours[0][0]) == np.ravel(scale)[0]
            apart = ours[1][1] - ours[1][0] / ours[0][0] * ours[0][1]
            assert abs(float(apart) - np.ravel(shift)[0]) < 1e-9


def test_blobs_that_no_crop_aligns():
    n = caffe.NetSpec()
    n.data = caffe.layers.Input(shape=dict(dim=[1, 3, 90, 90]))
    n.pool = caffe.layers.Pooling(n.data, kernel_size=2, stride=2)
    assert "1/2·x + -1/4" in raised(ValueError, align.crop, n.pool, n.data)
