"""Training: one solver prototxt per experiment, and the loop that every solve.py calls."""

import os

os.environ.setdefault("GLOG_minloglevel", "2")  # Caffe prints every net, layer by layer
