"""The mean of ILSVRC 2012, which pycaffe ships as ``caffe/imagenet/ilsvrc_2012_mean.npy``.

The file is not here: it belongs to BVLC Caffe.  Two ways to get it, both float, B G R:

* ``python/caffe/imagenet/ilsvrc_2012_mean.npy`` of BVLC's repository, an array (3, 256, 256); put
  it into this folder (``os.path.dirname(caffe.imagenet.__file__)``) and old scripts find it.
* ``imagenet_mean.binaryproto`` of http://dl.caffe.berkeleyvision.org/caffe_ilsvrc12.tar.gz, a blob
  (1, 3, 256, 256): read it with ``caffe.proto.caffe_pb2.BlobProto`` and
  ``caffe.io.blobproto_to_array``, or give it to ``caffe classify --mean_file``.

Most nets subtract one number a channel, the mean over all pixels of that image; :data:`MEAN_PIXEL`
is what published scripts write, and what ``mean.mean(1).mean(1)`` of the file gives.

>>> import caffe.imagenet
>>> caffe.imagenet.MEAN_PIXEL.round(1).tolist()
[104.0, 116.7, 122.7]
"""

import numpy as np

__all__ = ["MEAN_PIXEL"]

#: The mean pixel, B G R, of pictures whose values lie in 0 to 255.
MEAN_PIXEL = np.array([104.00698793, 116.66876762, 122.67891434])
MEAN_PIXEL.flags.writeable = False
