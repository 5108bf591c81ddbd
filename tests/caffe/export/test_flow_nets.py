"""A net of FlowNet 2's layers, in their order, a sixteenth as wide: it runs and is exported."""

import numpy as np
from exporting import export


def conv(name, bottoms, tops, more):
    ends = "".join(f" bottom: '{b}'" for b in bottoms) + "".join(f" top: '{t}'" for t in tops)
    return (
        f"name: '{name}' type: 'Convolution'{ends} convolution_param {{ {more} "
        "weight_filler { type: 'xavier' } }"
    )


LAYERS = [
    "name: 's0' type: 'Eltwise' bottom: 'x0' top: 's0' eltwise_param { coeff: 0.0039215 }",
    "name: 's1' type: 'Eltwise' bottom: 'x1' top: 's1' eltwise_param { coeff: 0.0039215 }",
    *(
        f"name: 'aug{i}' type: 'DataAugmentation' bottom: 's{i}' top: 'n{i}' augmentation_param {{ "
        "augment_during_test: true recompute_mean: 1000 mean_per_pixel: false }"
        for i in range(2)
    ),
    *(
        f"name: 'r{i}' type: 'Resample' bottom: 'n{i}' top: 'i{i}' resample_param {{ width: 64 "
        "height: 48 type: LINEAR antialias: true }"
        for i in range(2)
    ),
    conv("conv1", ["i0", "i1"], ["a", "b"], "num_output: 8 pad: 2 kernel_size: 5 stride: 2"),
    "name: 'corr' type: 'Correlation' bottom: 'a' bottom: 'b' top: 'corr' correlation_param { "
    "pad: 4 kernel_size: 1 max_displacement: 4 stride_1: 1 stride_2: 2 }",
    "name: 'relu' type: 'ReLU' bottom: 'corr' top: 'corr' relu_param { negative_slope: 0.1 }",
    conv("flow2", ["corr"], ["flow2"], "num_output: 2 pad: 1 kernel_size: 3"),
    "name: 'up' type: 'Eltwise' bottom: 'flow2' top: 'up' eltwise_param { coeff: 20 }",
    "name: 'acc' type: 'Accum' bottom: 'up' bottom: 'i0' top: 'flow' accum_param { "
    "have_reference: true }",
    "name: 'warp' type: 'FlowWarp' bottom: 'i1' bottom: 'flow' top: 'warped'",
    "name: 'diff' type: 'Eltwise' bottom: 'i0' bottom: 'warped' top: 'diff' eltwise_param { "
    "coeff: 1 coeff: -1 }",
    "name: 'norm' type: 'ChannelNorm' bottom: 'diff' top: 'error'",
    "name: 'join' type: 'Concat' bottom: 'flow' bottom: 'error' top: 'last'",
    "name: 'out' type: 'Resample' bottom: 'last' top: 'out' resample_param { width: 60 height: 40 "
    "type: NEAREST antialias: false }",
]


def test_a_net_of_flow(tmp_path):
    made, model, net = export(tmp_path, LAYERS, (1, 3, 40, 60), (1, 3, 40, 60))
    assert list(made.outputs) == ["out"] and made.outputs["out"] == [1, 3, 40, 60]
    image = np.random.RandomState(1).uniform(0, 255, (1, 3, 40, 60))
    net.blobs["x0"].data[...] = net.blobs["x1"].data[...] = image
    net.params["flow2"][0].data[...] = net.params["flow2"][1].data[...] = 1e-20
    for name in ("aug0", "aug1"):
        for blob in net.params[name]:
            blob.data[...] = 0.4
    out = net.forward()["out"]
    assert np.abs(out).max() < 1e-5, "no flow, and the picture is where it was"
    middle = net.blobs["corr"].data[0, 12]  # no displacement: each pixel's features with themselves
    assert np.allclose(middle, (net.blobs["a"].data[0] ** 2).mean(0), atol=1e-5)
