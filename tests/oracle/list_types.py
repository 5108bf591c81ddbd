"""Print the layer types that the imported `caffe` knows, one a line."""

import os

os.environ.setdefault("GLOG_minloglevel", "2")

import caffe

print("\n".join(caffe.layer_type_list()))
