"""A DetectionOutput on blobs of its own, for its tests."""

import numpy as np
from harness import Rig


def rig(settings, loc, conf, boxes, variances):
    n, k, places = loc.shape[:3]
    text = f'type: "DetectionOutput" detection_output_param {{ {settings} }}'
    shapes = (n, k * places * 4), (n, k * conf.shape[2]), (1, 2, 4 * k)
    layer = Rig(text, *shapes, phase=1)
    prior = np.stack([boxes, variances]).reshape(1, 2, -1)
    return layer, [loc.reshape(n, -1), conf.reshape(n, -1), prior]
