"""The messages of Caffe's model format; see :mod:`caffe.proto.caffe_pb2`."""

from caffe.proto import caffe_pb2

__all__ = ["caffe_pb2"]
