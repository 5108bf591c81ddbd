"""Whole published nets of forks, in OpenCV and here: all blobs that OpenCV can give.

OpenCV's importer does not know SegNet's and ENet's words, nor CropCenter.  It has the arithmetic,
so the nets are translated for it: BN with statistics of its own is a Scale, Upsample is MaxUnpool,
CropCenter is a Crop.  Files: ../shared/data/caffemodels beside the checkout.
"""

import warnings
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format

import caffe
from caffe.proto import caffe_pb2
from caffe.prototxt import read_net

cv2 = pytest.importorskip(
    "cv2", reason="needs pip install 'opencv-python-headless<5' (OpenCV 5 reads no Caffe models)"
)
if int(cv2.__version__.split(".")[0]) > 4:
    pytest.skip("OpenCV 5 reads no Caffe models", allow_module_level=True)

MODELS = Path(__file__).resolve().parents[3] / "shared/data/caffemodels"
POOLING = "pool_k_h: 2 pool_k_w: 2 pool_stride_h: 2 pool_stride_w: 2 pool_pad_h: 0 pool_pad_w: 0"


def of_the_size_of(cropped):
    """The blob that waifu2x adds the cropped one to."""
    return "/conv_bridge_relu" if cropped == "/crop" else cropped.replace("crop", "conv2_relu")


def for_opencv(net):
    """The layers of a net in OpenCV's words."""
    text = ""
    for layer in net.layer:
        layer.ClearField("blobs")
        layer.ClearField("phase")
        settings = ""
        if layer.type == "BN":
            assert layer.bn_param.statistics == layer.bn_param.NONE
            layer.ClearField("bn_param")
            layer.type = "Scale"
            layer.scale_param.bias_term = True
        elif layer.type == "Upsample":
            layer.ClearField("upsample_param")
            layer.type = "MaxUnpool"
            settings = f"max_unpool_param {{ {POOLING} }}"
        elif layer.type == "CropCenter":
            cut = list(layer.crop_center_param.crop_size)
            layer.ClearField("crop_center_param")
            layer.type = "Crop"
            layer.bottom.append(of_the_size_of(layer.top[0]))
            layer.crop_param.axis = 2
            layer.crop_param.offset.extend(cut[2:])
        elif layer.type == "Axpy":  # OpenCV multiplies the other bottom
            layer.bottom[1:] = reversed(layer.bottom[1:])
        text += f"layer {{ {text_format.MessageToString(layer)} {settings} }}\n"
    return text


def both(folder, shape, tmp_path):
    """All blobs of the last layer of their name: (name, here, OpenCV) for a random picture."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = caffe.Net(str(folder / "deploy.prototxt"), str(folder / "m.caffemodel"), caffe.TEST)
        described = read_net(str(folder / "deploy.prototxt"))
    (name,) = net.inputs
    net.blobs[name].reshape(*shape)
    x = np.random.default_rng(0).uniform(0, 1, shape).astype(np.float32)
    net.forward(**{name: x})
    weights = caffe_pb2.NetParameter()
    for layer, blobs in net.params.items():
        added = weights.layer.add(name=layer, type=net.layer_dict[layer].type)
        for blob in blobs:
            stored = added.blobs.add(data=blob.data.ravel())
            stored.shape.dim.extend(blob.data.shape)
    for layer in described.layer:
        if layer.type == "Input":
            layer.input_param.shape[0].dim[:] = shape
    paths = [tmp_path / "n.prototxt", tmp_path / "n.caffemodel"]
    order = [layer.name for layer in described.layer if layer.type != "Input"]
    last = {top: layer.name for layer in described.layer for top in layer.top[:1]}
    paths[0].write_text(for_opencv(described))
    paths[1].write_bytes(weights.SerializeToString())
    theirs = cv2.dnn.readNetFromCaffe(*map(str, paths))
    theirs.enableFusion(False)
    theirs.setInput(x, name)
    wanted = [layer for layer in order if layer in last.values()]
    for layer, values in zip(wanted, theirs.forward(wanted)):
        blob = next(top for top, owner in last.items() if owner == layer)
        if blob in net.blobs:
            yield blob, net.blobs[blob].data, values


@pytest.mark.skipif(not MODELS.exists(), reason="the published nets are not beside the checkout")
@pytest.mark.parametrize(
    ("model", "shape"), [("enet", (1, 3, 64, 128)), ("waifu2x_upresnet10", (1, 3, 70, 75))]
)
def test_every_blob_of_a_published_net(model, shape, tmp_path):
    count, worst = 0, 0.0
    for name, ours, theirs in both(MODELS / model, shape, tmp_path):
        assert ours.shape == theirs.shape, name
        scale = np.abs(theirs).max()
        assert scale > 0, name
        worst = max(worst, float(np.abs(ours - theirs).max() / scale))
        count += 1
    assert count > 60 and worst < 1e-4
