"""``caffe.pycaffe``, where BVLC's wrapper of the extension module lives; here the same names."""

from caffe._caffe import *  # noqa: F403
from caffe._caffe import __all__ as __all__
