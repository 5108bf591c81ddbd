"""The head `pyramid`: laterals are added from the top down."""

from head_nets import close, layer, value


def test_pyramid_adds_laterals_from_the_top_down(made):
    train, net = made("pyramid", 8)
    for name in ("pool4", "pool3"):
        upper, side = layer(train, "sum_" + name).bottom
        assert (upper, side) == (f"upsample_{name}c", "lateral_" + name)
        close(value(net, "sum_" + name), value(net, upper) + value(net, side))
    assert layer(train, "smooth").bottom[:] == ["sum_pool3"]
    # The trunk has 64 channels, so the pyramid is no wider.
    assert layer(train, "smooth").convolution_param.num_output == 64
