"""The switches of PyTorch that set_precision and set_deterministic stand for."""

import os
import sys

import numpy as np
import pytest
import torch

import caffe
from caffe import device, glog
from caffe.arithmetic import environment_overrides

precision = sys.modules["caffe.arithmetic"]  # the name caffe.precision is the function
BACKENDS = torch.backends
SWITCHES = (
    "BACKENDS.fp32_precision",
    "BACKENDS.cudnn.fp32_precision",
    "BACKENDS.cudnn.conv.fp32_precision",
    "BACKENDS.cudnn.rnn.fp32_precision",
    "BACKENDS.cuda.matmul.fp32_precision",
)


@pytest.fixture(autouse=True)
def back_to_default():
    yield
    caffe.set_precision("fp32")
    caffe.set_deterministic(False)


def switches():
    """Every switch that this PyTorch has."""
    names = SWITCHES if hasattr(BACKENDS, "fp32_precision") else ()
    return (
        BACKENDS.cuda.matmul.allow_tf32,
        BACKENDS.cudnn.allow_tf32,
        torch.get_float32_matmul_precision(),
        {eval(name) for name in names},
    )


EXACT = (False, False, "highest", {"ieee"} if hasattr(BACKENDS, "fp32_precision") else set())
TF32 = (True, True, "high", {"tf32"} if hasattr(BACKENDS, "fp32_precision") else set())


@pytest.mark.parametrize(("name", "expected"), [("fp32", EXACT), ("tf32", TF32), ("bf16", TF32)])
def test_every_switch_follows_the_name(name, expected):
    for before in ("fp32", "tf32"):
        caffe.set_precision(before)
        caffe.set_precision(name)
        assert caffe.precision() == name
        assert switches() == expected
    assert BACKENDS.cuda.matmul.allow_bf16_reduced_precision_reduction == (name == "bf16")
    assert not BACKENDS.cuda.matmul.allow_fp16_reduced_precision_reduction


@pytest.mark.skipif(not hasattr(BACKENDS, "fp32_precision"), reason="PyTorch 2.9's switches")
def test_a_switch_set_elsewhere_is_set_back():
    BACKENDS.cudnn.conv.fp32_precision = "tf32"
    BACKENDS.cuda.matmul.fp32_precision = "tf32"
    caffe.set_precision("fp32")
    assert switches() == EXACT


def test_gpu_mode_sets_them_too(monkeypatch):
    caffe.set_precision("fp32")
    BACKENDS.cuda.matmul.allow_tf32 = BACKENDS.cudnn.allow_tf32 = True
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "set_device", lambda index: None)
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "1")
    monkeypatch.setattr(precision._state, "warned", False)
    lines = []
    monkeypatch.setattr(glog, "warning", lambda source, text: lines.append(text))
    for _ in range(2):
        caffe.set_mode_gpu()
    assert [line.split(":")[0] for line in lines] == [
        "the environment variable NVIDIA_TF32_OVERRIDE=1"
    ]
    assert device.current().name == "gpu0"
    assert switches() == EXACT


def test_an_unknown_name_changes_nothing():
    caffe.set_precision("tf32")
    with pytest.raises(caffe.Error, match="one of fp32, tf32, bf16, received 'fp16'"):
        caffe.set_precision("fp16")
    assert caffe.precision() == "tf32"
    assert switches() == TF32


@pytest.mark.slow
def test_deterministic(monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    BACKENDS.cudnn.benchmark = True
    caffe.set_deterministic(True)
    assert caffe.deterministic()
    assert torch.are_deterministic_algorithms_enabled()
    assert BACKENDS.cudnn.deterministic
    assert not BACKENDS.cudnn.benchmark
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    caffe.set_deterministic(False)
    assert not caffe.deterministic()
    assert not torch.are_deterministic_algorithms_enabled()
    assert not BACKENDS.cudnn.deterministic


def test_what_the_user_set_in_pytorch_stays_without_it():
    BACKENDS.cudnn.deterministic = True
    try:
        caffe.set_precision("fp32")
        assert BACKENDS.cudnn.deterministic
    finally:
        BACKENDS.cudnn.deterministic = False


def test_environment_variables_that_overrule_are_told(monkeypatch):
    for name in ("NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("CUBLAS_EMULATE_SINGLE_PRECISION", raising=False)
    assert environment_overrides() == []
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "1")
    (told,) = environment_overrides()
    assert told.startswith("NVIDIA_TF32_OVERRIDE=1: ")


BF16_NET = """
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 3 dim: 24 dim: 28 } } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 32 kernel_size: 3 pad: 20 weight_filler { type: "msra" }
    bias_filler { type: "constant" value: 0.1 } } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "conv2" type: "Convolution" bottom: "conv1" top: "conv2"
  convolution_param { num_output: 32 kernel_size: 3 pad: 1 weight_filler { type: "msra" } } }
layer { name: "relu2" type: "ReLU" bottom: "conv2" top: "conv2" }
layer { name: "pool" type: "Pooling" bottom: "conv2" top: "pool"
  pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layer { name: "up" type: "Deconvolution" bottom: "pool" top: "up"
  convolution_param { num_output: 32 group: 32 kernel_size: 4 stride: 2 pad: 1
    weight_filler { type: "bilinear" } bias_term: false } }
layer { name: "sum" type: "Eltwise" bottom: "up" bottom: "conv2" top: "sum" }
layer { name: "prob" type: "Softmax" bottom: "sum" top: "prob" }
"""


@pytest.mark.cpu_only
def test_bf16_on_the_cpu_is_for_inference(tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text(BF16_NET)
    net = caffe.Net(str(path), caffe.TEST)
    image = np.random.RandomState(0).randn(1, 3, 24, 28)
    results = {}
    # The blobs that are looked at after the first passes are outputs of the program from then on.
    for name in ("fp32", "fp32", "bf16", "fp32"):
        caffe.set_precision(name)
        try:
            for _ in range(8):  # a second program waits for twice as many passes as the first
                net.blobs["data"].data[...] = image
                net.forward()
        finally:
            caffe.set_precision("fp32")
        for blob in ("conv1", "conv2", "pool", "sum", "prob"):
            value = net.blobs[blob].data.copy()
            results.setdefault(blob, []).append(value)
    for blob, (_, wide, narrow, again) in results.items():
        assert np.array_equal(wide, again), blob
        error = np.abs(narrow - wide).max() / np.abs(wide).max()
        assert 1e-5 < error < 2e-2, (blob, error)


@pytest.mark.cpu_only
def test_bf16_leaves_training_on_the_cpu_alone(tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text("force_backward: true\n" + BF16_NET)
    gradients = []
    for name in ("fp32", "bf16"):
        caffe.set_random_seed(1)
        net = caffe.Net(str(path), caffe.TRAIN)
        net.blobs["data"].data[...] = np.random.RandomState(0).randn(1, 3, 24, 28)
        caffe.set_precision(name)
        try:
            net.forward()
            net.blobs["prob"].diff[...] = 1 + net.blobs["prob"].data
            net.backward()
        finally:
            caffe.set_precision("fp32")
        gradients.append(net.params["conv1"][0].diff.copy())
    assert gradients[0].any()
    assert np.array_equal(*gradients)
