"""The experiments' prototxts, one folder each, and the commands that make and explain them."""

import os

os.environ.setdefault("GLOG_minloglevel", "2")  # Caffe prints every net, layer by layer

import bootstrap  # noqa: F401  finds the engine and the data layers
