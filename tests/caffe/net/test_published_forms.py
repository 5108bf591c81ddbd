"""Nets in the words of published prototxts (tests/published_nets.py): they are read without a
complaint that is not known, and run forward and backward in both phases."""

import warnings

import numpy as np
import pytest
from PIL import Image
from published_nets import CRF_RNN, CRF_RNN_V1, DEEPLAB_V2, FASTER_RCNN_TEST, NETS

import caffe
from caffe.prototxt.forks import ForeignFieldWarning

PHASES = {"DeconvNet, training": ["TRAIN"], "DeconvNet, test": ["TEST"]}
MEASURED = ("DeepLab v1", "DeepLab v2")
CASES = [(name, phase) for name in NETS for phase in PHASES.get(name, ["TRAIN", "TEST"])]


@pytest.fixture
def folder(tmp_path):
    """Pictures of 22 x 24 pixels, their labels, and lists of them."""
    draw = np.random.default_rng(0)
    lines = []
    for n in range(4):
        Image.fromarray(draw.integers(0, 256, (22, 24, 3)).astype(np.uint8)).save(
            tmp_path / f"{n}.png"
        )
        labels = draw.integers(0, 12, (22, 24)).astype(np.uint8)
        Image.fromarray(labels).save(tmp_path / f"{n}_label.png")
        lines.append(f"/{n}.png /{n}_label.png\n")
    (tmp_path / "list.txt").write_text("".join(lines))
    (tmp_path / "ids.txt").write_text("0\n1\n2\n3\n")
    return tmp_path


def build(text, folder, phase):
    path = folder / "n.prototxt"
    text = text.replace("ID_LIST", f"{folder}/ids.txt").replace("LIST", f"{folder}/list.txt")
    if "loss" not in text:  # which alone would need a backward pass
        text = "force_backward: true\n" + text
    path.write_text(text.replace("ROOT", str(folder)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ForeignFieldWarning)
        warnings.filterwarnings("ignore", "all weights of layer")
        return caffe.Net(str(path), phase)


def fill(net):
    """Random pictures, and two boxes that are true."""
    draw = np.random.default_rng(1)
    if "data" in net.inputs:
        net.blobs["data"].data[...] = draw.normal(size=net.blobs["data"].data.shape)
    if "im_info" in net.inputs:
        net.blobs["im_info"].data[...] = [192, 256, 1]
    if "gt_boxes" in net.inputs:
        net.blobs["gt_boxes"].data[...] = [[20, 20, 150, 150, 1], [90, 30, 200, 180, 1]]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "phase"), CASES)
def test_it_runs_forward_and_backward(name, phase, folder, device):
    caffe.set_random_seed(1)
    np.random.seed(0)
    net = build(NETS[name], folder, getattr(caffe, phase))
    fill(net)
    for _ in range(2):
        out = net.forward()
        assert out and all(np.isfinite(value).all() for value in out.values())
    if name in MEASURED and phase == "TEST":
        return  # their losses are for training
    for blob in out:
        net.blobs[blob].diff[...] = 1
    net.backward()
    gradients = [p.diff for blobs in net.params.values() for p in blobs]
    assert all(np.isfinite(g).all() for g in gradients) and any(g.any() for g in gradients)


def test_deeplab_writes_its_scores(folder):
    from scipy import io

    net = build(DEEPLAB_V2, folder, caffe.TEST)
    net.forward()
    scores = io.loadmat(folder / "out_0_blob_0.mat")["data"]
    assert np.array_equal(scores.T, net.blobs["fc8_interp"].data)


def test_proposals_of_faster_rcnn_lie_in_the_image(folder):
    net = build(FASTER_RCNN_TEST, folder, caffe.TEST)
    fill(net)
    net.forward()
    rois = net.blobs["rois"].data
    assert 1 < len(rois) <= 300 and not rois[:, 0].any()
    assert (rois[:, 1:] >= 0).all() and (rois[:, 1:] <= [255, 191, 255, 191]).all()
    assert net.blobs["cls_prob"].data.shape == (len(rois), 21)


@pytest.mark.parametrize("text", [CRF_RNN, CRF_RNN_V1], ids=["present", "V1"])
def test_crf_rnn_makes_scores_smooth(folder, text):
    net = build(text, folder, caffe.TEST)
    data = net.blobs["data"].data
    data[...] = np.random.default_rng(0).uniform(0, 2, data.shape)
    net.forward()
    scores, smooth = net.blobs["unary"].data, net.blobs["pred"].data
    assert smooth.shape == scores.shape and np.isfinite(smooth).all()
    assert [blob.data.shape for blob in net.params["inference1"]] == [(1, 1, 3, 3)] * 3
    changes = [np.abs(np.diff(maps.argmax(1))).mean() for maps in (scores, smooth)]
    assert changes[1] < changes[0]
