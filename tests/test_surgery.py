"""Net surgery: what is copied, coerced, dropped, left; bilinear weights; larger score layers."""

import os

import numpy as np
from fcn_helpers import net_of, raised

import caffe
import surgery
from caffe.proto import caffe_pb2

DATA = """
layer { name: "input" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 2 dim: 4 dim: 4 } } }
"""

INNER_PRODUCT = """
layer { name: "%(name)s" type: "InnerProduct" bottom: "%(bottom)s" top: "%(name)s"
  inner_product_param { num_output: %(outputs)d
    weight_filler { type: "gaussian" std: 1 } bias_filler { type: "gaussian" std: 1 } } }
"""

CONVOLUTION = """
layer { name: "%(name)s" type: "%(kind)s" bottom: "%(bottom)s" top: "%(name)s"
  convolution_param { num_output: %(outputs)d kernel_size: %(kernel)d
    weight_filler { type: "gaussian" std: 1 } %(more)s } }
"""


def inner_product(name, bottom, outputs):
    return INNER_PRODUCT % dict(name=name, bottom=bottom, outputs=outputs)


def convolution(name, bottom, outputs, kernel, kind="Convolution", more=""):
    return CONVOLUTION % dict(
        name=name, bottom=bottom, outputs=outputs, kernel=kernel, kind=kind, more=more
    )


def test_transplant_makes_a_classifier_convolutional(tmp_path):
    old = net_of(tmp_path, DATA + inner_product("fc6", "data", 5) + inner_product("fc8", "fc6", 3))
    new = net_of(
        tmp_path, DATA + convolution("fc6", "data", 5, 4) + convolution("score", "fc6", 3, 1)
    )
    before = new.params["score"][0].data.copy()
    report = surgery.transplant(new, old)
    assert np.array_equal(new.params["fc6"][0].data.ravel(), old.params["fc6"][0].data.ravel())
    assert report.coerced == [("fc6", 0)] and report.copied == [("fc6", 1)]
    assert report.dropped == [("fc8", None)]
    assert report.left == [("score", 0), ("score", 1)]
    assert np.array_equal(new.params["score"][0].data, before)
    assert str(report).splitlines() == [
        "coercing fc6 0 from (5, 32) to (5, 2, 4, 4)",
        "copying fc6  ->  fc6 1",
        "dropping fc8",
    ]
    # The same function of the image.
    image = np.random.RandomState(0).randn(1, 2, 4, 4)
    for net in (old, new):
        net.blobs["data"].data[...] = image
        net.forward()
    assert np.allclose(old.blobs["fc6"].data.ravel(), new.blobs["fc6"].data.ravel(), atol=1e-5)
    assert np.abs(old.blobs["fc6"].data).max() > 0.1


def test_transplant_with_a_suffix_and_surplus_blobs(tmp_path):
    old = net_of(tmp_path, DATA + convolution("conv", "data", 5, 3))
    new = net_of(tmp_path, DATA + convolution("convcolor", "data", 5, 3, more="bias_term: false"))
    report = surgery.transplant(new, old, "color")
    assert np.array_equal(new.params["convcolor"][0].data, old.params["conv"][0].data)
    assert report.copied == [("convcolor", 0)] and report.dropped == [("conv", 1)]
    assert report.left == []


def test_another_number_of_elements_is_an_error_and_changes_nothing(tmp_path):
    old = net_of(tmp_path, DATA + convolution("a", "data", 5, 3) + convolution("b", "a", 4, 1))
    new = net_of(tmp_path, DATA + convolution("a", "data", 5, 3) + convolution("b", "a", 3, 1))
    before = new.params["a"][0].data.copy()
    text = raised(surgery.SurgeryError, surgery.transplant, new, old)
    assert "b blob 0" in text and "20 elements" in text and "15" in text, text
    assert np.array_equal(new.params["a"][0].data, before)


def test_load_coerces_from_a_file(tmp_path):
    old = net_of(tmp_path, DATA + inner_product("fc6", "data", 5) + inner_product("fc8", "fc6", 3))
    path = os.path.join(str(tmp_path), "old.caffemodel")
    old.save(path)
    new = net_of(
        tmp_path, DATA + convolution("fc6", "data", 5, 4) + convolution("score", "fc6", 3, 1)
    )
    report = surgery.load(new, path)
    for i in range(2):
        stored, loaded = old.params["fc6"][i].data, new.params["fc6"][i].data
        assert np.array_equal(stored.ravel(), loaded.ravel()) and np.abs(loaded).max() > 0
    assert report.coerced == [("fc6", 0)] and report.dropped == [("fc8", None)]
    assert "left at their filler: score" in report.summary()


def test_load_of_equal_shapes_copies(tmp_path):
    text = DATA + convolution("a", "data", 5, 3) + convolution("b", "a", 3, 1)
    old, new = net_of(tmp_path, text), net_of(tmp_path, text)
    path = os.path.join(str(tmp_path), "old.caffemodel")
    old.save(path)
    report = surgery.load(new, path)
    assert len(report.copied) == 4 and not report.left
    for name in ("a", "b"):
        assert np.array_equal(old.params[name][0].data, new.params[name][0].data)


def test_load_reads_the_older_formats(tmp_path):
    new = net_of(tmp_path, DATA + convolution("fc6", "data", 5, 4))
    values = np.random.RandomState(1).randn(5, 32).astype(np.float32)
    for oldest in (False, True):
        stored = caffe_pb2.NetParameter()
        layer = stored.layers.add()
        layer = layer.layer if oldest else layer
        layer.name = "fc6"
        for array in (values, np.arange(5, dtype=np.float32)):
            blob = layer.blobs.add()
            blob.num, blob.channels, blob.width = 1, 1, array.shape[-1]
            blob.height = array.size // array.shape[-1]
            blob.data.extend(array.ravel().tolist())
        path = os.path.join(str(tmp_path), "v0.caffemodel" if oldest else "v1.caffemodel")
        with open(path, "wb") as f:
            f.write(stored.SerializeToString())
        new.params["fc6"][0].data[...] = 0
        report = surgery.load(new, path)
        assert report.coerced == [("fc6", 0)] and report.copied == [("fc6", 1)], oldest
        assert np.array_equal(new.params["fc6"][0].data.ravel(), values.ravel()), oldest
        assert new.params["fc6"][1].data.tolist() == [0, 1, 2, 3, 4]


def test_load_refuses_what_does_not_fit(tmp_path):
    net = net_of(tmp_path, DATA + convolution("a", "data", 5, 3))
    path = os.path.join(str(tmp_path), "w.caffemodel")
    net.save(path)
    other = net_of(tmp_path, DATA + convolution("z", "data", 5, 3))
    text = raised(surgery.SurgeryError, surgery.load, other, path)
    assert "no layer in common" in text and path in text
    with open(path, "rb") as f:
        whole = f.read()
    with open(path, "wb") as f:
        f.write(whole[:-7])
    before = net.params["a"][0].data.copy()
    text = raised(surgery.SurgeryError, surgery.load, net, path)
    assert "not a whole caffemodel" in text and path in text
    assert np.array_equal(net.params["a"][0].data, before)
    raised(OSError, surgery.load, net, path + ".gone")


def test_bilinear_kernels():
    # size: first four values of the profile, its peak, its sum
    known = {
        4: ((0.25, 0.75, 0.75, 0.25), 0.75, 2),
        16: ((0.0625, 0.1875, 0.3125, 0.4375), 0.9375, 8),
        32: ((0.03125, 0.09375, 0.15625, 0.21875), 0.96875, 16),
        63: ((0.03125, 0.0625, 0.09375, 0.125), 1.0, 32),
        64: ((0.015625, 0.046875, 0.078125, 0.109375), 0.984375, 32),
    }
    for size, (start, peak, total) in known.items():
        kernel = surgery.upsample_filt(size)
        assert kernel.shape == (size, size)
        profile = kernel.sum(0) / kernel.sum(0).max() * peak
        assert np.allclose(profile[:4], start) and np.isclose(profile.sum(), total)
        assert np.isclose(kernel[0, 0], start[0] ** 2) and np.isclose(kernel.max(), peak**2)
        assert np.isclose(kernel.sum(), total**2)


def test_interp_full_and_grouped(tmp_path):
    text = (
        DATA
        + convolution("up", "data", 2, 4, "Deconvolution", "bias_term: false")
        + convolution("upg", "data", 2, 4, "Deconvolution", "bias_term: false group: 2")
        + convolution("conv", "data", 3, 1)
    )
    net = net_of(tmp_path, text)
    assert surgery.uses_upsampling(net) == ["up", "upg"]
    off = net.params["up"][0].data[0, 1].copy()
    surgery.interp(net, ["up", "upg"])
    kernel = surgery.upsample_filt(4).astype(np.float32)
    for i in range(2):
        assert np.array_equal(net.params["up"][0].data[i, i], kernel)
        assert np.array_equal(net.params["upg"][0].data[i, 0], kernel)
    assert np.array_equal(net.params["up"][0].data[0, 1], off) and np.abs(off).max() > 0


def test_interp_refuses_other_shapes(tmp_path):
    text = (
        DATA
        + convolution("up", "data", 2, 4, "Deconvolution", "bias_term: false")
        + convolution("conv", "data", 3, 1)
    )
    net = net_of(tmp_path, text)
    before = net.params["up"][0].data.copy()
    text = raised(surgery.SurgeryError, surgery.interp, net, ["up", "conv"])
    assert "conv" in text and "3×2×1×1" in text
    assert np.array_equal(net.params["up"][0].data, before)


def test_expand_score(tmp_path):
    small = net_of(tmp_path, DATA + convolution("score", "data", 3, 1))
    large = net_of(tmp_path, DATA + convolution("score5", "data", 5, 1))
    small.params["score"][1].data[...] = [1, 2, 3]
    large.params["score5"][1].data[...] = 9
    rest = large.params["score5"][0].data[3:].copy()
    surgery.expand_score(large, "score5", small, "score")
    assert np.array_equal(large.params["score5"][0].data[:3], small.params["score"][0].data)
    assert np.array_equal(large.params["score5"][0].data[3:], rest)
    assert large.params["score5"][1].data.tolist() == [1, 2, 3, 9, 9]
    text = raised(surgery.SurgeryError, surgery.expand_score, small, "score", large, "score5")
    assert "(5, 2, 1, 1)" in text


def test_32s_to_16s_to_8s(tmp_path):
    """Each stage keeps what it shares with the one before; only the new score is at its filler."""
    from fcn_helpers import ROOT

    nets = {
        s: caffe.Net(os.path.join(ROOT, "nets", "toy-fcn" + s, "deploy.prototxt"), caffe.TEST)
        for s in ("32s", "16s", "8s")
    }
    for old, new, fresh in (("32s", "16s", "pool4"), ("16s", "8s", "pool3")):
        path = os.path.join(str(tmp_path), old + ".caffemodel")
        nets[old].save(path)
        report = surgery.load(nets[new], path)
        left = {n for n, _ in report.left if "up" not in n}
        assert left == {"score_" + fresh}, left
        assert report.dropped == [("upscore" if old == "32s" else "upscore16", None)]
        assert not report.coerced


def test_a_score_layer_starts_from_a_classifiers_own_classes(tmp_path):
    one = net_of(tmp_path, DATA + convolution("fc", "data", 6, 1, more="bias_term: true"))
    weights = one.params["fc"][0].data.reshape(6, 2).copy()
    one.params["fc"][1].data[...] = np.arange(6)
    path = os.path.join(str(tmp_path), "classifier.caffemodel")
    one.save(path)
    net = net_of(tmp_path, DATA + convolution("score", "data", 3, 1))
    classes = [(), (4,), (0, 2)]
    filled = surgery.take_classes(net, "score", path, "fc", classes, scale=0.5, rest=7)
    assert filled == [("score", 0), ("score", 1)]
    found, bias = net.params["score"][0].data.reshape(3, 2), net.params["score"][1].data
    centred = weights - weights.mean(axis=0)
    lengths = np.linalg.norm(centred, axis=1)
    assert not found[0].any() and bias[0] == 7
    np.testing.assert_allclose(found[1], 0.5 * centred[4], rtol=1e-5)
    np.testing.assert_allclose(bias[1], 0.5 * (4 - 2.5), rtol=1e-5)
    # A mean keeps the direction and gets the length of its parts.
    mean = centred[[0, 2]].mean(axis=0)
    expected = 0.5 * lengths[[0, 2]].mean() * mean / np.linalg.norm(mean)
    np.testing.assert_allclose(found[2], expected, rtol=1e-5)

    before = net.params["score"][0].data.copy()
    for wrong, said in (
        (("fc", [(), (6,), ()]), "classes below 6"),
        (("fc", [(), (1,)]), "(2, 2, 1, 1)"),
        (("fc8", classes), "no layer fc8"),
    ):
        error = raised(surgery.SurgeryError, surgery.take_classes, net, "score", path, *wrong)
        assert said in error
    assert np.array_equal(net.params["score"][0].data, before)
