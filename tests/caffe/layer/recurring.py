"""LSTM and RNN by loops in NumPy, for their tests."""

import numpy as np
from harness import Rig

T, N, D, H = 3, 2, 4, 3


UNIFORM = '{ type: "uniform" min: -1 max: 1 }'


ONES = np.ones((T, N))


def lstm(extra="", *shapes, steps=T, **options):
    text = f"num_output: {H} weight_filler {UNIFORM} bias_filler {UNIFORM} {extra}"
    shapes = ((steps, N, D), (steps, N), *shapes)
    return Rig(f'type: "LSTM" recurrent_param {{ {text} }}', *shapes, **options)
