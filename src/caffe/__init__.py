"""Caffe on PyTorch: the interface, numbers and file formats of pycaffe 1.0."""
