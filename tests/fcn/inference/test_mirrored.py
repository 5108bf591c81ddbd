"""--mirror: the mean of an image's and its mirror image's probabilities."""

import numpy as np
import pytest
from labelling_helpers import NET, read_label, run
from PIL import Image

import caffe
from fcn import catalog

pytestmark = pytest.mark.usefixtures("_from_the_root")


def probabilities(weights, pixels):
    """By plain pycaffe, (classes, H, W)."""
    net = caffe.Net(catalog.net_path(NET, "deploy"), weights, caffe.TEST)
    mean = np.array(catalog.experiment(NET).dataset.inputs[0].mean, np.float32)
    net.blobs["data"].reshape(1, 3, *pixels.shape[:2])
    net.blobs["data"].data[0] = (pixels[:, :, ::-1].astype(np.float32) - mean).transpose(2, 0, 1)
    net.forward()
    e = np.exp(np.array(net.blobs["score"].data[0], np.float64))
    return e / e.sum(0)


def means(weights, pixels):
    return (probabilities(weights, pixels) + probabilities(weights, pixels[:, ::-1])[..., ::-1]) / 2


@pytest.mark.slow
def test_labels_and_probabilities_are_the_mean_s(weights, photo, tmp_path):
    other = np.ascontiguousarray(photo[::-1])
    for name, pixels in (("a", photo), ("b", other)):
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    arguments = "--mirror", "--probabilities", "float32"
    assert run(weights, tmp_path, tmp_path / "a.png", tmp_path / "b.png", *arguments) == 0
    assert run(weights, tmp_path / "one", tmp_path / "a.png", *arguments) == 0
    for name, pixels in (("a", photo), ("b", other), ("one/a", photo)):
        expected = means(weights, pixels)
        found = np.load(tmp_path / f"{name}_probabilities.npz")["probabilities"]
        np.testing.assert_allclose(found, expected, atol=1e-5)
        differ = read_label(tmp_path / f"{name}_label.png") != expected.argmax(0)
        assert differ.mean() < 1e-3  # ties by rounding
    plain = probabilities(weights, photo)
    assert (plain.argmax(0) != means(weights, photo).argmax(0)).any()


def test_the_mirror_image_has_the_mirrored_labels(weights, photo, tmp_path):
    Image.fromarray(photo).save(tmp_path / "a.png")
    Image.fromarray(photo[:, ::-1]).save(tmp_path / "b.png")
    assert run(weights, tmp_path, tmp_path / "a.png", tmp_path / "b.png", "--mirror") == 0
    one, other = (read_label(tmp_path / f"{name}_label.png") for name in "ab")
    assert (one != other[:, ::-1]).mean() < 1e-3


def test_an_image_that_does_not_fit_whole_is_named(weights, tmp_path, capsys):
    Image.new("RGB", (900, 700)).save(tmp_path / "large.png")
    assert run(weights, tmp_path, tmp_path / "large.png", "--mirror", "--memory", "0.2") == 1
    assert "does not fit into memory whole, as --mirror needs" in capsys.readouterr().err
