"""Scoring: the histogram, the four measures, whole passes over a data layer, saved predictions."""

import contextlib
import io
import os
import re

import numpy as np
from fcn_helpers import net_of, raised
from PIL import Image

import score

# The published prediction for the published demo image: the histogram of classes 0, 2 and 15.
DEMO = np.array([[52692, 1398, 299], [4618, 28404, 1161], [8782, 7320, 45041]])


def demo_hist():
    hist = np.zeros((21, 21), int)
    hist[np.ix_([0, 2, 15], [0, 2, 15])] = DEMO
    return hist


def test_metrics_of_the_published_demo():
    m = score.metrics(demo_hist())
    for got, wanted in (
        (m.overall_accuracy, 0.84251),
        (m.mean_accuracy, 0.84546),
        (m.mean_iu, 0.71962),
        (m.fwavacc, 0.72737),
        (m.iu[0], 0.77729),
        (m.iu[2], 0.66208),
        (m.iu[15], 0.71947),
    ):
        assert abs(got - wanted) < 5e-6, (got, wanted)
    assert np.isnan(m.iu[1]) and np.isnan(m.accuracy[1])


def test_a_class_that_is_only_predicted_counts_as_zero_iu():
    m = score.metrics([[3, 1, 0], [0, 0, 0], [0, 0, 4]])
    assert np.allclose(m.iu, [0.75, 0, 1])
    assert np.isclose(m.mean_iu, 1.75 / 3)
    assert np.isclose(m.mean_accuracy, (0.75 + 1) / 2)
    assert np.isclose(m.fwavacc, 0.5 * 0.75 + 0.5 * 1)


def test_metrics_of_nothing():
    assert np.isnan(score.metrics(np.zeros((3, 3))).mean_iu)


def test_fast_hist():
    truth = np.array([[0, 1], [2, 255]], np.float32)
    predicted = np.array([[0, 2], [2, 1]])
    hist = score.fast_hist(truth, predicted, 3)
    assert hist.tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 1]]
    assert np.issubdtype(hist.dtype, np.integer)
    text = raised(ValueError, score.fast_hist, truth, predicted + 1, 3)
    assert "0…2" in text and "3" in text
    raised(ValueError, score.fast_hist, truth, predicted[:1], 3)


NET = """
layer { name: "data" type: "Python" top: "data" top: "label"
  python_param { module: "score_test_layer" layer: "Numbers" param_str: "%d" } }
layer { name: "score" type: "Power" bottom: "data" top: "score" }
layer { name: "%s" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "%s"
  loss_param { ignore_label: 255 } }
"""

LAYER = '''
import caffe
import numpy as np

IMAGES = 5


class Numbers(caffe.Layer):
    """Five images of 3 classes, 4x6 pixels: image i predicts what random state i says."""

    def setup(self, bottom, top):
        self.batch = int(self.param_str)
        self.position = 0

    def seek(self, position):
        self.position = position

    def reshape(self, bottom, top):
        top[0].reshape(self.batch, 3, 4, 6)
        top[1].reshape(self.batch, 1, 4, 6)

    def forward(self, bottom, top):
        for j in range(self.batch):
            image = (self.position * self.batch + j) % IMAGES
            r = np.random.RandomState(image)
            top[0].data[j] = r.randn(3, 4, 6)
            top[1].data[j] = r.choice([0, 1, 2, 255], (1, 4, 6))
        self.position += 1

    def backward(self, top, propagate_down, bottom):
        pass
'''


CONVOLUTION = """
layer { name: "score" type: "Convolution" bottom: "data" top: "score"
  convolution_param { num_output: 3 kernel_size: 3 pad: 1 weight_filler { type: "xavier" } } }
"""


def numbers_net(tmp_path, batch=1, loss="loss", text=NET):
    import sys

    folder = str(tmp_path)
    with open(os.path.join(folder, "score_test_layer.py"), "w") as f:
        f.write(LAYER)
    sys.path.insert(0, folder)
    sys.modules.pop("score_test_layer", None)
    try:
        return net_of(tmp_path, text % (batch, loss, loss))
    finally:
        sys.path.remove(folder)


def expected_hist():
    hist = np.zeros((3, 3), int)
    for image in range(5):
        r = np.random.RandomState(image)
        scores, label = r.randn(3, 4, 6), r.choice([0, 1, 2, 255], (1, 4, 6))
        for p, t in zip(scores.argmax(0).ravel(), label.ravel()):
            if t != 255:
                hist[t, p] += 1
    return hist


IDS = ["a", "b", "c", "d", "e"]


def test_compute_hist_with_batches(tmp_path):
    for batch in (1, 2, 5):
        net = numbers_net(tmp_path, batch)
        for _ in range(2):  # the second pass must begin at the first image again
            hist, loss = score.compute_hist(net, False, IDS)
            assert np.array_equal(hist, expected_hist()), batch
            assert np.isfinite(loss) and loss > 0


def test_mirror_images_count_as_much_as_the_images(tmp_path):
    data, _, loss = ("layer {" + text for text in NET.split("layer {")[1:])
    net = numbers_net(tmp_path, 2, text=data + CONVOLUTION + loss)
    plain, of_images = score.compute_hist(net, False, IDS)
    found, of_both = score.compute_hist(net, False, IDS, mirror=["data"])
    assert of_both == of_images and not np.array_equal(found, plain)

    def probabilities(image):
        net.blobs["data"].data[0] = image
        net.forward(start="score")
        e = np.exp(np.array(net.blobs["score"].data[0], np.float64))
        return e / e.sum(0)

    expected = np.zeros((3, 3), int)
    for number in range(5):
        r = np.random.RandomState(number)
        image, label = r.randn(3, 4, 6), r.choice([0, 1, 2, 255], (4, 6))
        both = probabilities(image) + probabilities(image[..., ::-1])[..., ::-1]
        expected += score.fast_hist(label, both.argmax(0), 3)
    assert np.array_equal(found, expected)


def test_any_loss_name(tmp_path):
    _, named = score.compute_hist(numbers_net(tmp_path), False, IDS)
    _, other = score.compute_hist(numbers_net(tmp_path, loss="error"), False, IDS)
    assert named == other
    assert "empty" in raised(ValueError, score.compute_hist, numbers_net(tmp_path), False, [])


def test_printed_lines(tmp_path):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        hist = score.do_seg_tests(numbers_net(tmp_path), 7, False, IDS)
    assert np.array_equal(hist, expected_hist())
    names = ("loss", "overall accuracy", "mean accuracy", "mean IU", "fwavacc")
    printed = out.getvalue().splitlines()
    assert len(printed) == len(names)
    for text, name in zip(printed, names):
        stamp = r">>> \d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)? "
        assert re.match(stamp + "Iteration 7 " + name + r" \d\.\d+$", text), text


def test_saved_predictions_read_back(tmp_path):
    net = numbers_net(tmp_path)
    save = os.path.join(str(tmp_path), "seg-{}")
    with contextlib.redirect_stdout(io.StringIO()):
        score.do_seg_tests(net, 3, save, IDS)
    for image, name in enumerate(IDS):
        with Image.open(os.path.join(str(tmp_path), "seg-3", name + ".png")) as saved:
            assert saved.mode == "P"
            got = np.array(saved)
        wanted = np.random.RandomState(image).randn(3, 4, 6).argmax(0)
        assert np.array_equal(got, wanted) and wanted.max() == 2


def test_seg_tests_shares_the_weights(tmp_path):
    import caffe

    net = """
layer { name: "data" type: "DummyData" top: "data" top: "label" dummy_data_param {
  shape { dim: 1 dim: 1 dim: 3 dim: 3 } shape { dim: 1 dim: 1 dim: 3 dim: 3 }
  data_filler { type: "constant" value: 1 } data_filler { type: "constant" value: 1 } } }
layer { name: "score" type: "Convolution" bottom: "data" top: "score"
  convolution_param { num_output: 2 kernel_size: 1 weight_filler { type: "constant" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss" }
"""
    folder = str(tmp_path)
    for name, text in (
        ("net.prototxt", net),
        (
            "solver.prototxt",
            'train_net: "{0}" test_net: "{0}" test_iter: 1 test_interval: 1000 base_lr: 1 '
            'lr_policy: "fixed" test_initialization: false snapshot_prefix: "{1}"'.format(
                os.path.join(folder, "net.prototxt"), os.path.join(folder, "s")
            ),
        ),
    ):
        with open(os.path.join(folder, name), "w") as f:
            f.write(text)
    solver = caffe.SGDSolver(os.path.join(folder, "solver.prototxt"))
    solver.net.params["score"][1].data[...] = [0, 5]
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        hist = score.seg_tests(solver, False, ["one"])
    assert hist.tolist() == [[0, 0], [0, 9]]
    assert out.getvalue().splitlines()[0].endswith("Begin seg tests")
