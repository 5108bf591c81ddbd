"""What the base class and the net promise every layer: precision, before_forward, verdicts."""

import numpy as np
import pytest
import torch
from harness import Rig, close, random

import caffe
from caffe.device import current
from caffe.errors import LayerError
from caffe.layer import Need, class_of, type_list
from caffe.net import Net

BF16 = torch.bfloat16


def net(text, tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text(text)
    return Net(str(path), caffe.TRAIN)


def run_in_bf16(text, *shapes, in_place=False):
    """A rig with bfloat16 bottoms and top diff after a pass each way, and its float32 twin."""
    rigs = []
    for dtype in (BF16, torch.float32):
        rig = Rig(text, *shapes, in_place=in_place)
        for i, (blob, shape) in enumerate(zip(rig.bottom, shapes)):
            values = torch.from_numpy(random(*shape, seed=i)).to(BF16)
            blob.set_data(values.to(current().torch_device, dtype))
        with torch.no_grad():
            rig.layer.forward_blobs(rig.bottom, rig.top)
            top = rig.top[0].data_tensor()
            diff = torch.from_numpy(random(*rig.top[0].dims, seed=9)).to(BF16)
            rig.top[0].set_diff(diff.to(top.device, top.dtype))
        rig.output = top.float().clone()
        need = [i == 0 or i not in rig.layer.no_gradient for i in range(len(shapes))]
        rig.layer.backward_blobs(
            rig.top, Need(tuple(need), (True,) * len(rig.layer.blobs)), rig.bottom
        )
        rigs.append(rig)
    return rigs


@pytest.mark.parametrize(
    "text, shapes",
    [
        ('type: "ReLU"', [(2, 3, 4, 4)]),
        ('type: "ReLU" relu_param { negative_slope: 0.1 }', [(2, 3, 4, 4)]),
        ('type: "PReLU"', [(2, 3, 4, 4)]),
        ('type: "ELU"', [(2, 3, 4, 4)]),
        ('type: "Sigmoid"', [(2, 3, 4, 4)]),
        ('type: "TanH"', [(2, 3, 4, 4)]),
        ('type: "Pooling" pooling_param { kernel_size: 2 stride: 2 }', [(2, 3, 5, 5)]),
        ('type: "Pooling" pooling_param { kernel_size: 3 stride: 2 pad: 1 }', [(2, 3, 5, 5)]),
        ('type: "Pooling" pooling_param { pool: AVE kernel_size: 3 pad: 1 }', [(2, 3, 5, 5)]),
        ('type: "Eltwise"', [(2, 3, 4, 4)] * 3),
        ('type: "Eltwise" eltwise_param { operation: MAX }', [(2, 3, 4, 4)] * 2),
        ('type: "Eltwise" eltwise_param { operation: PROD }', [(2, 3, 4, 4)] * 2),
        ('type: "Concat"', [(2, 3, 4, 4), (2, 1, 4, 4)]),
        ('type: "Slice"', [(2, 4, 3, 3)]),
        ('type: "Crop" crop_param { offset: 1 }', [(2, 3, 6, 6), (2, 3, 4, 4)]),
        ('type: "LRN"', [(2, 6, 4, 4)]),
        ('type: "BatchNorm"', [(2, 6, 4, 4)]),
        ('type: "Scale" scale_param { bias_term: true }', [(2, 6, 4, 4)]),
        ('type: "Softmax"', [(2, 6, 4, 4)]),
    ],
)
def test_every_layer_takes_bfloat16(text, shapes):
    narrow, full = run_in_bf16(text, *shapes)
    for low, high in [
        (narrow.output, full.output),
        *((a.diff_tensor(), b.diff_tensor()) for a, b in zip(narrow.bottom[:1], full.bottom[:1])),
        *((a.diff_tensor(), b.diff_tensor()) for a, b in zip(narrow.layer.blobs, full.layer.blobs)),
    ]:
        scale = float(high.abs().max())
        assert float((low.float() - high).abs().max()) <= 0.02 * scale
    assert narrow.bottom[0].diff_tensor().dtype is BF16, "a diff has its data's precision"
    expected = BF16 if narrow.layer.any_precision else torch.float32
    assert narrow.top[0].data_tensor().dtype is expected
    assert all(b.diff_tensor().dtype is torch.float32 for b in narrow.layer.blobs)


@pytest.mark.parametrize("looked_at", ["bottom", "top"])
@pytest.mark.parametrize(
    "text",
    [
        'type: "Pooling" pooling_param { kernel_size: 2 stride: 2 }',
        'type: "ReLU"',
        'type: "TanH"',
    ],
)
def test_a_blob_read_between_the_passes_may_be_float32(text, looked_at):
    """An array is float32, and so is then its blob; the layer's other blobs are bfloat16 still."""
    gradients = []
    for read in (False, True):
        rig = Rig(text, (1, 2, 6, 6))
        for blob in rig.layer.blobs:
            blob.data[...] = random(*blob.dims, seed=4)
        rig.bottom[0].set_data(torch.from_numpy(random(1, 2, 6, 6)).to(BF16))
        with torch.no_grad():
            rig.layer.forward_blobs(rig.bottom, rig.top)
            rig.top[0].set_diff(torch.from_numpy(random(*rig.top[0].dims, seed=9)).to(BF16))
            if read:
                getattr(rig, looked_at)[0].data  # noqa: B018
            needs = Need((True,), (True,) * len(rig.layer.blobs))
            rig.layer.backward_blobs(rig.top, needs, rig.bottom)
        gradients.append(rig.bottom[0].diff_tensor().float())
    assert float(gradients[0].abs().max()) > 0
    difference = float((gradients[0] - gradients[1]).abs().max())
    assert difference <= 0.02 * float(gradients[0].abs().max())


def test_a_pooling_mask_is_float32():
    """Bfloat16 has no number 257."""
    rig = Rig('type: "Pooling" pooling_param { kernel_size: 1 }', (1, 1, 20, 20), tops=2)
    rig.bottom[0].set_data(torch.rand(1, 1, 20, 20).to(current().torch_device, BF16))
    rig.layer.forward_blobs(rig.bottom, rig.top)
    assert rig.top[1].data.ravel().tolist() == list(range(400))


def test_layers_that_run_on_the_host_or_hold_layers_are_not_graphable():
    host = {
        "AnnotatedData",
        "BoxAnnotatorOHEM",
        "CTCLoss",
        "CtcLoss",
        "Data",
        "DenseCRF",
        "DenseImageData",
        "DetectionEvaluate",
        "DetectionOutput",
        "DummyData",
        "Filter",
        "HDF5Data",
        "HDF5Output",
        "ImageData",
        "ImageLabelmapData",
        "ImageSegData",
        "MatRead",
        "MatWrite",
        "MemoryData",
        "MultiBoxLoss",
        "MultiStageMeanfield",
        "Proposal",
        "Python",
        "VideoData",
        "WindowData",
        "Yolov3DetectionOutput",
    }
    inner = {"SPP"}  # its levels, whose state a replay would not bring back
    assert {name for name in type_list() if not class_of(name).graphable} == host | inner


NET = """
layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 1 dim: 2 } } }
layer { name: "a" type: "ReLU" bottom: "x" top: "a" }
layer { name: "b" type: "ReLU" bottom: "a" top: "b" }
"""


def test_before_forward_runs_before_each_layer(tmp_path, monkeypatch):
    calls = []
    for kind in (class_of("Input"), class_of("ReLU")):
        for method in ("before_forward", "forward_blobs"):
            real = getattr(kind, method)

            def call(layer, *args, _real=real, _name=method):
                calls.append((layer.name, _name))
                return _real(layer, *args)

            monkeypatch.setattr(kind, method, call)
    model = net(NET, tmp_path)
    model.blobs["x"].data[...] = [-1, 2]
    model.forward()
    assert calls == [(n, m) for n in ("in", "a", "b") for m in ("before_forward", "forward_blobs")]
    close(model.blobs["b"].data, np.array([[0, 2]], np.float32))


def test_check_verdicts_raises_once_what_a_layer_found(tmp_path, monkeypatch):
    def raise_verdict(layer):
        if int(layer.verdict):
            layer.verdict.zero_()
            raise LayerError("a wrong number")

    monkeypatch.setattr(class_of("ReLU"), "raise_verdict", raise_verdict)
    model = net(NET, tmp_path)
    model.check_verdicts()
    model.layer_dict["b"].verdict = torch.tensor(1, dtype=torch.int32)
    with pytest.raises(LayerError, match=r"layer 'b' \(type ReLU\): a wrong number"):
        model.check_verdicts()
    model.check_verdicts()
