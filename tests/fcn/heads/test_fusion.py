"""The head `fusion`: a sum and a 3×3 convolution at each stride."""

from head_nets import close, layer, value


def test_fusion_mixes_at_each_stride(made):
    train, net = made("fusion", 8)
    for name in ("pool4", "pool3"):
        upper, side = layer(train, "sum_" + name).bottom
        close(value(net, "sum_" + name), value(net, upper) + value(net, side))
        assert layer(train, "mix_" + name).bottom[:] == ["sum_" + name]
    assert layer(train, "score_fr").bottom[:] == ["mix_pool3"]
