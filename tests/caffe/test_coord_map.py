"""coord_map beyond test_net_spec.py's golden cases: messages, and the published FCN offsets."""

import numpy as np
import pytest

from caffe.coord_map import compose, coord_map, coord_map_from_to, crop, inverse
from caffe.net_spec import layers as L


def data():
    return L.Input(shape=dict(dim=[1, 3, 64, 64]))


def vgg(bottom):
    """VGG-16's convolutions and poolings, the first padded by 100; returns pool3, pool4, fc7."""
    tops, pad = {}, 100
    for stage, count in enumerate((2, 2, 3, 3, 3), 1):
        for _ in range(count):
            bottom = L.ReLU(L.Convolution(bottom, kernel_size=3, pad=pad), in_place=True)
            pad = 1
        bottom = tops[stage] = L.Pooling(bottom, kernel_size=2, stride=2)
    fc6 = L.Convolution(bottom, kernel_size=7, pad=0)
    return tops[3], tops[4], L.Convolution(L.Dropout(fc6), kernel_size=1, pad=0)


def up(bottom, factor):
    return L.Deconvolution(bottom, convolution_param=dict(kernel_size=2 * factor, stride=factor))


def offset(top):
    return list(top.fn.params["crop_param"]["offset"])


def test_offsets_of_the_published_fcns():
    image = data()
    pool3, pool4, fc7 = vgg(image)
    assert offset(crop(up(fc7, 32), image)) == [19]
    score4 = L.Convolution(pool4, kernel_size=1)
    cropped4 = crop(score4, up(fc7, 2))
    assert offset(cropped4) == [5]
    fuse4 = L.Eltwise(up(fc7, 2), cropped4)
    assert offset(crop(up(fuse4, 16), image)) == [27]
    cropped3 = crop(L.Convolution(pool3, kernel_size=1), up(fuse4, 2))
    assert offset(cropped3) == [9]
    fuse3 = L.Eltwise(up(fuse4, 2), cropped3)
    assert offset(crop(up(fuse3, 8), image)) == [31]


def test_scales_with_rounding_are_still_equal():
    image = data()
    top = L.Pooling(L.Pooling(image, kernel_size=3, stride=3), kernel_size=49, stride=49, pad=24)
    grown = L.Deconvolution(top, convolution_param=dict(kernel_size=293, stride=147))
    axis, scale, shift = coord_map_from_to(grown, image)
    np.testing.assert_allclose(scale, 1, rtol=1e-12)
    np.testing.assert_allclose(shift, -145)  # (293 − 1) / 2, less 147 · (1/3) / 49
    assert offset(crop(grown, image)) == [145]


@pytest.mark.parametrize(
    ("top", "message"),
    [
        (lambda x: L.Pooling(x, kernel_size=2, stride=2), r"scale mismatch on crop \(a = \[2"),
        (lambda x: L.Convolution(x, kernel_size=3), r"cannot crop negative offset \(b = \[1"),
        (lambda x: L.Convolution(x, kernel_size=2, pad=1), r"cannot crop noninteger offset"),
        (lambda x: L.Pooling(x, kernel_h=2, kernel_w=2), "legacy _h/_w parameters: got kernel_h"),
    ],
)
def test_messages_of_impossible_crops(top, message):
    image = data()
    with pytest.raises(AssertionError, match=message):
        crop(top(image), image)


def test_inverse_undoes_a_map():
    convolution = coord_map(L.Convolution(data(), kernel_size=[3, 5], stride=[2, 3], pad=1).fn)
    axis, scale, shift = compose(convolution, inverse(convolution))
    assert axis == 1
    np.testing.assert_allclose(scale, [1, 1])
    np.testing.assert_allclose(shift, [0, 0], atol=1e-15)
