"""The head `unet`: skips are concatenated, upsampling learns."""

import numpy as np
import pytest
from head_nets import close, value


@pytest.mark.slow
def test_unet_concatenates_the_skip_before_what_comes_from_below(made):
    train, net = made("unet", 1, "unet-small")
    joined = [each for each in train.layer if each.type == "Concat"]
    assert len(joined) == 4
    for each in joined:
        skip, below = (value(net, name) for name in each.bottom)
        assert skip.shape == below.shape
        close(value(net, each.top[0]), np.concatenate([skip, below], axis=1))
    learned = [each for each in train.layer if each.type == "Deconvolution"]
    assert len(learned) == 4 and all(each.param[0].lr_mult == 1 for each in learned)
