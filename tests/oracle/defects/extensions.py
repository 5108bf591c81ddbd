"""Defects of the extensions that BVLC Caffe can check."""

from defects.make import Defect

DEFECTS = [
    Defect(
        "depthwise convolution is a full one",
        "layer/extensions/depthwise.py",
        "p.group = channels",
        "p.group = 1",
        ["net depthwise"],
    ),
    Defect(
        "depthwise convolution ignores num_output",
        "layer/extensions/depthwise.py",
        'if not p.HasField("num_output"):',
        "if True:",
        ["net depthwise"],
    ),
]
