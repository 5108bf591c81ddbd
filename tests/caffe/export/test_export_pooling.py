"""Pooling: all settings that decide about windows, at the sizes of the export and at others."""

import itertools

import numpy as np
import onnxruntime
import pytest
from exporting import FREE, IMAGE, each, export, prove

import caffe

CASES = {
    "SPP": [
        ("spp_param { pyramid_height: 3 }", [IMAGE], ("batch",)),
        ("spp_param { pyramid_height: 2 pool: AVE }", [(2, 3, 8, 5)], ("batch",)),
        ("spp_param { pyramid_height: 1 }", [IMAGE], ("batch",)),
    ],
}

SETTINGS = [
    (method, kernel, stride, pad, mode)
    for method, (kernel, stride, pad), mode in itertools.product(
        ("MAX", "AVE"),
        (
            (2, 2, 0),
            (3, 2, 0),
            (3, 2, 1),
            (3, 1, 1),
            (2, 3, 0),
            (1, 3, 0),
            (4, 3, 2),
            (5, 4, 1),
            (3, 3, 2),
        ),
        ("CEIL", "FLOOR"),
    )
]


def text(method, kernel, stride, pad, mode="CEIL"):
    return (
        f"type: 'Pooling' pooling_param {{ pool: {method} kernel_size: {kernel} stride: {stride} "
        f"pad: {pad} round_mode: {mode} }}"
    )


@pytest.mark.slow
@pytest.mark.parametrize("settings", SETTINGS, ids=lambda s: "-".join(map(str, s)))
def test_every_size_from_one_dynamic_file(tmp_path, settings):
    export(tmp_path, [text(*settings)], (1, 2, 9, 8), dynamic=FREE)
    net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST)
    session = onnxruntime.InferenceSession(
        str(tmp_path / "net.onnx"), providers=["CPUExecutionProvider"]
    )
    random = np.random.RandomState(1)
    for height, width in itertools.product(range(5, 17), (6, 9, 13)):
        x = random.standard_normal((1, 2, height, width)).astype(np.float32)
        net.blobs["x0"].reshape(*x.shape)
        net.blobs["x0"].data[...] = x
        right = net.forward()["y0"]
        (got,) = session.run(None, {"x0": x})
        assert got.shape == right.shape, (height, width)
        np.testing.assert_allclose(got, right, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("settings", SETTINGS, ids=lambda s: "-".join(map(str, s)))
@pytest.mark.parametrize("size", [(5, 7), (8, 6), (9, 10), (11, 12)], ids=str)
def test_a_fixed_size(tmp_path, settings, size):
    export(tmp_path, [text(*settings)], (2, 3, *size))


@pytest.mark.parametrize("dynamic", [(), FREE], ids=["fixed", "dynamic"])
@pytest.mark.parametrize("window", [(2, 2, 0), (3, 2, 0), (3, 2, 1), (3, 1, 1)], ids=str)
def test_a_mask(tmp_path, window, dynamic):
    layer = text("MAX", *window) + " top: 'y' top: 'mask'"
    made, _, _ = export(tmp_path, [layer], (2, 3, 9, 8), dynamic=dynamic)
    assert set(made.outputs) == {"y", "mask"}
    assert all(p.differences["mask"] == 0 for p in made.proofs)


@pytest.mark.parametrize("dynamic", [(), FREE], ids=["fixed", "dynamic"])
@pytest.mark.parametrize("method", ["MAX", "AVE"])
def test_global_pooling(tmp_path, method, dynamic):
    layer = f"type: 'Pooling' pooling_param {{ pool: {method} global_pooling: true }}"
    _, model, _ = export(tmp_path, [layer], (2, 3, 9, 8), dynamic=dynamic)
    assert [node.op_type for node in model.graph.node][0].startswith("Global")


@pytest.mark.parametrize("dynamic", [(), FREE], ids=["fixed", "dynamic"])
def test_stochastic_pooling_takes_the_mean_of_draws(tmp_path, dynamic):
    layers = ["type: 'ReLU'", text("STOCHASTIC", 3, 2, 0)]
    export(tmp_path, layers, (2, 3, 9, 8), dynamic=dynamic)


def test_different_sides(tmp_path):
    layer = (
        "type: 'Pooling' pooling_param { pool: MAX kernel_h: 3 kernel_w: 2 stride_h: 2 stride_w: 3 "
        "pad_h: 1 pad_w: 0 }"
    )
    export(tmp_path, [layer], (1, 2, 8, 9), dynamic=("height", "width"))
    export(tmp_path, [layer], (1, 2, 8, 9), dynamic=("width",))


def test_unpooling_by_a_mask(tmp_path):
    layers = [
        text("MAX", 2, 2, 0) + " bottom: 'x0' top: 'p' top: 'mask'",
        "type: 'Upsample' bottom: 'p' bottom: 'mask' top: 'y' upsample_param { scale: 2 }",
    ]
    export(tmp_path, layers, (2, 3, 8, 6), dynamic=("batch",))
    deconvnet = [
        layers[0],
        "type: 'Unpooling' bottom: 'p' bottom: 'mask' top: 'y' unpooling_param { unpool: MAX "
        "kernel_size: 2 stride: 2 }",
    ]
    export(tmp_path, deconvnet, (2, 3, 9, 7), dynamic=("batch",))
    overlapping = [
        text("MAX", 3, 2, 0) + " bottom: 'x0' top: 'p' top: 'mask'",
        "type: 'Upsample' bottom: 'p' bottom: 'mask' top: 'y' "
        "upsample_param { upsample_h: 9 upsample_w: 7 }",
    ]
    export(tmp_path, overlapping, (2, 3, 9, 7))


def test_windows_that_touch_stay_one_node(tmp_path):
    _, model, _ = export(tmp_path, [text("MAX", 2, 2, 0)], (1, 2, 9, 8), dynamic=FREE)
    assert [node.op_type for node in model.graph.node] == ["MaxPool"]


@each(CASES)
def test_a_pyramid(tmp_path, kind, text, shapes, free):
    prove(tmp_path, kind, text, shapes, free)
