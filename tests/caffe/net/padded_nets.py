"""Small nets that pad their image far, as FCN's do."""

CONV = """layer {{ name: "{0}" type: "Convolution" bottom: "{1}" top: "{0}"
  convolution_param {{ num_output: {2} {3}
    weight_filler {{ type: "msra" }} bias_filler {{ type: "gaussian" std: 0.3 }} }} }}
"""
RELU = 'layer {{ name: "relu_{0}" type: "ReLU" bottom: "{0}" top: "{0}" }}\n'
POOL = """layer {{ name: "{0}" type: "Pooling" bottom: "{1}" top: "{0}"
  pooling_param {{ kernel_size: {2} stride: 2 }} }}
"""
INPUT = """layer {{ name: "input" type: "Input" top: "data"
  input_param {{ shape {{ dim: {0} dim: 3 dim: {1} dim: {2} }} }} }}
"""


def conv(name, bottom, outputs, settings):
    return CONV.format(name, bottom, outputs, settings) + RELU.format(name)


def vgg(n=1, h=40, w=51):
    """FCN-8s in small: padded far, Winograd's geometry, a blob with two consumers, a Crop."""
    return (
        INPUT.format(n, h, w)
        + conv("conv1", "data", 32, "kernel_size: 3 pad: 30")
        + conv("conv2", "conv1", 32, "kernel_size: 3 pad: 1")
        + POOL.format("pool1", "conv2", 2)
        + conv("conv3", "pool1", 40, "kernel_size: 3 pad: 1")
        + POOL.format("pool2", "conv3", 2)
        + conv("conv4", "pool2", 8, "kernel_size: 5 pad: 4 dilation: 2")
        + conv("score", "pool1", 4, "kernel_size: 1")
        + 'layer { name: "crop" type: "Crop" bottom: "score" bottom: "conv4" top: "crop" }\n'
    )


def alexnet(n=2, h=45, w=38):
    """Stride, groups, overlapping pooling; the chain ends at an LRN."""
    return (
        INPUT.format(n, h, w)
        + conv("conv1", "data", 32, "kernel_size: 7 stride: 3 pad: 60")
        + POOL.format("pool1", "conv1", 3)
        + conv("conv2", "pool1", 16, "kernel_size: 5 pad: 2 group: 2")
        + 'layer { name: "norm" type: "LRN" bottom: "conv2" top: "norm" }\n'
        + conv("conv3", "norm", 8, "kernel_size: 3 pad: 1")
    )


NETS = {"vgg": vgg, "alexnet": alexnet}
