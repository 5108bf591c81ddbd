"""ContinuationIndicator: 0 in the first step, 1 in all others."""

import pytest
from harness import Rig

from caffe.errors import LayerError


def test_sequences_begin_in_the_first_row():
    text = "continuation_indicator_param { time_step: 4 batch_size: 3 }"
    cont = Rig(f'type: "ContinuationIndicator" {text}').forward()
    assert cont.tolist() == [[0] * 3, *[[1] * 3] * 3]


@pytest.mark.parametrize("words", ["", "time_step: 3", "batch_size: 3"])
def test_both_sizes_are_needed(words):
    with pytest.raises(LayerError, match="must be positive"):
        Rig(f'type: "ContinuationIndicator" continuation_indicator_param {{ {words} }}')
