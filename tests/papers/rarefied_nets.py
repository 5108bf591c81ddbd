"""Nets with pooling, and every score of a net without subsampling."""

import caffe
from caffe import layers as L
from caffe import params as P


def net(*pools, stem=None):
    """Convolutions with poolings between them: (pool, kernel, stride) each."""
    n = caffe.NetSpec()
    n.data = L.Input(shape=dict(dim=[1, 3, 64, 64]))
    top = n.data
    if stem:
        n.stem = top = L.Convolution(top, num_output=3, kernel_size=stem[0], stride=stem[1])
    for i, (kind, kernel, stride) in enumerate(pools):
        n[f"conv{i}"] = top = L.Convolution(top, num_output=4, kernel_size=3)
        n[f"relu{i}"] = top = L.ReLU(top, in_place=True)
        n[f"pool{i}"] = top = L.Pooling(top, pool=kind, kernel_size=kernel, stride=stride)
    n.score = L.Convolution(top, num_output=2, kernel_size=2)
    return n.to_proto()


MAX, AVE = P.Pooling.MAX, P.Pooling.AVE
