"""The head `sum`: scores of each stride are added."""

from head_nets import close, layer, value


def test_sum_adds_the_scores_of_each_stride(made):
    train, net = made("sum", 8)
    close(value(net, "fuse_pool4"), value(net, "upscore2c") + value(net, "score_pool4"))
    close(value(net, "fuse_pool3"), value(net, "upscore_pool4c") + value(net, "score_pool3"))
    assert layer(train, "upscore8").param[0].lr_mult == 0  # bilinear for good
    assert layer(train, "score_fr").convolution_param.kernel_size[:] == [1]
    assert not [each for each in made("sum", 32)[0].layer if each.type == "Eltwise"]
