"""Extensions that BVLC Caffe can say in other words: depthwise convolution is a grouped one."""

from cases.make import inputs, layer, net, single


def depthwise(number, choice):
    """One group a channel; for BVLC Caffe a Convolution with its group and num_output written."""
    channels = choice.int(1, 5)
    outputs = channels * choice.pick([1, 1, 2])
    kernel = choice.int(1, 3)
    param = {
        "kernel_size": kernel,
        "pad": choice.int(0, 1),
        "stride": choice.int(1, 2),
        "dilation": choice.pick([1, 2]),
        "bias_term": choice.yes(),
    }
    bottoms = {"x": choice.normal([choice.int(1, 3), channels, 7, 6])}
    if outputs != channels or choice.yes():
        param["num_output"] = outputs
    kind = choice.pick(["ConvolutionDepthwise", "DepthwiseConvolution"])
    made = single(
        "net depthwise",
        number,
        choice,
        bottoms,
        ["y"],
        params=choice.normal(),
        body=[layer(kind, ["x"], ["y"], convolution_param=param)],
    )
    full = dict(param, num_output=outputs, group=channels)
    shapes = {"x": bottoms["x"]["shape"]}
    made["oracle_net"] = net(
        inputs(shapes), layer("Convolution", ["x"], ["y"], convolution_param=full)
    )
    return made


TYPES = {"net depthwise": depthwise}
