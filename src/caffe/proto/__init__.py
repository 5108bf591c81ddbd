"""The messages of Caffe's model format; see :mod:`caffe.proto.caffe_pb2`."""
