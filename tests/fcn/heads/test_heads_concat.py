"""The head `concat`: streams are concatenated before the score."""

import numpy as np
from head_nets import close, layer, value


def test_concat_scores_all_streams_together(made):
    train, net = made("concat", 8)
    parts = [value(net, name) for name in layer(train, "concat").bottom]
    assert len(parts) == 3 and all(part.shape[1] == 64 for part in parts)
    close(value(net, "concat"), np.concatenate(parts, axis=1))
    assert layer(train, "joined").convolution_param.kernel_size[:] == [3]
    # A single stream needs no Concat.
    assert not [each for each in made("concat", 32)[0].layer if each.type == "Concat"]
