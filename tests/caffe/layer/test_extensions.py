"""The types beyond BVLC's as a whole: which they are, and that NetSpec makes them."""

import caffe
from caffe import layers as L
from caffe.layer import extensions
from caffe.net_spec import to_proto


def test_the_list_names_the_extensions_and_nothing_of_bvlc():
    own = extensions.type_list()
    assert own == sorted(extensions.PUBLISHED_IN), "PUBLISHED_IN says where each type comes from"
    known = list(caffe.layer_type_list())
    assert set(own) < set(known) and not extensions.is_extension("Convolution")
    assert len(known) - len(own) == 61  # BVLC's


def test_net_spec_makes_them():
    x = L.Input(shape=dict(dim=[1, 2, 4, 4]))
    a = L.Interp(x, zoom_factor=2)
    b = L.Permute(a, order=[0, 2, 3, 1])
    pool, mask = L.Pooling(x, kernel_size=2, stride=2, ntop=2)
    c = L.Upsample(pool, mask, scale=2)
    d = L.BN(c, slope_filler=dict(type="constant", value=1), frozen=True)
    e = L.ConvolutionDepthwise(d, convolution_param=dict(kernel_size=3))
    layers = {layer.type: layer for layer in to_proto(b, e).layer}
    assert layers["Interp"].interp_param.zoom_factor == 2
    assert list(layers["Permute"].permute_param.order) == [0, 2, 3, 1]
    assert layers["Upsample"].upsample_param.scale == 2
    assert layers["BN"].bn_param.frozen and layers["BN"].bn_param.slope_filler.value == 1
