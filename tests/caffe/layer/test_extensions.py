"""The types beyond BVLC's: against NumPy written out, numeric gradients and equivalences."""

import numpy as np
import pytest
from harness import TEST, TRAIN, Rig, check_gradient, close, random

import caffe
from caffe import layers as L
from caffe.errors import DataError, LayerError, ShapeError
from caffe.layer import extensions
from caffe.net_spec import to_proto

OWN = ["BN", "ConvolutionDepthwise", "DepthwiseConvolution", "Interp", "Permute", "Upsample"]


def test_the_list_names_the_extensions_and_nothing_of_bvlc():
    assert extensions.type_list() == OWN
    known = list(caffe.layer_type_list())
    assert set(OWN) < set(known) and not extensions.is_extension("Convolution")


def test_net_spec_makes_them():
    x = L.Input(shape=dict(dim=[1, 2, 4, 4]))
    a = L.Interp(x, zoom_factor=2)
    b = L.Permute(a, order=[0, 2, 3, 1])
    pool, mask = L.Pooling(x, kernel_size=2, stride=2, ntop=2)
    c = L.Upsample(pool, mask, scale=2)
    d = L.BN(c, slope_filler=dict(type="constant", value=1), frozen=True)
    e = L.ConvolutionDepthwise(d, convolution_param=dict(kernel_size=3))
    layers = {layer.type: layer for layer in to_proto(b, e).layer}
    assert layers["Interp"].interp_param.zoom_factor == 2
    assert list(layers["Permute"].permute_param.order) == [0, 2, 3, 1]
    assert layers["Upsample"].upsample_param.scale == 2
    assert layers["BN"].bn_param.frozen and layers["BN"].bn_param.slope_filler.value == 1


# Upsample -----------------------------------------------------------------------------------------


def upsample(body, shape=(2, 3, 2, 3), masked=True):
    return Rig(f'type: "Upsample" upsample_param {{ {body} }}', *[shape] * (1 + masked))


def unpool(x, mask, size):
    """SegNet's rule, written out: in raster order, each value goes where its mask says."""
    top = np.zeros((*x.shape[:2], size[0] * size[1]), np.float32)
    for n, c, h, w in np.ndindex(*x.shape):
        if mask[n, c, h, w] >= 0:
            top[n, c, int(mask[n, c, h, w])] = x[n, c, h, w]
    return top.reshape(*x.shape[:2], *size)


@pytest.mark.parametrize(
    ("body", "size"),
    [
        ("", (4, 6)),
        ("scale: 3", (6, 9)),
        ("scale_h: 1 scale_w: 2", (2, 6)),
        ("scale: 2 pad_out_h: true", (3, 6)),
        ("pad_out_h: true pad_out_w: true", (3, 5)),
        ("scale: 2 upsample_h: 5 upsample_w: 7", (5, 7)),
    ],
)
def test_unpooling(device, body, size):
    rig = upsample(body)
    x = random(2, 3, 2, 3)
    mask = np.stack([
        np.random.default_rng(i).permutation(size[0] * size[1])[:6] for i in range(6)
    ]).reshape(2, 3, 2, 3)
    close(rig.forward(x, mask), unpool(x, mask, size))
    if device == "cpu":
        check_gradient(rig, x, mask.astype(np.float32))


def test_of_values_for_one_place_the_last_stays_and_gets_the_gradient(device):
    rig = upsample("upsample_h: 2 upsample_w: 2", (1, 1, 2, 2))
    x = np.array([[[[1, 2], [3, 4]]]], np.float32)
    mask = np.array([[[[3, 3], [0, -1]]]], np.float32)
    assert rig.forward(x, mask).ravel().tolist() == [3, 0, 0, 2]
    diff, _ = rig.backward(np.array([[[[5, 6], [7, 8]]]], np.float32))
    assert diff.ravel().tolist() == [0, 8, 5, 0]


@pytest.mark.parametrize("value", [16, -2, 1e9])
def test_a_mask_that_points_outside(value):
    rig = upsample("", (1, 1, 2, 2))
    mask = np.zeros((1, 1, 2, 2), np.float32)
    mask[0, 0, 0, 0] = value
    with pytest.raises(DataError, match="'layer'.*outside the top of .*MAX Pooling"):
        rig.forward(random(1, 1, 2, 2), mask)
    rig.forward(random(1, 1, 2, 2), np.zeros_like(mask))  # and the layer still works


@pytest.mark.parametrize(("size", "kernel", "pad_out"), [(6, 2, ""), (5, 2, "pad_out_h: true "
                                                                       "pad_out_w: true")])
def test_upsample_after_max_pooling_keeps_the_maxima_alone(tmp_path, size, kernel, pad_out):
    path = tmp_path / "n.prototxt"
    path.write_text(f"""force_backward: true
    layer {{ name: "x" type: "Input" top: "x"
      input_param {{ shape {{ dim: 2 dim: 3 dim: {size} dim: {size} }} }} }}
    layer {{ name: "p" type: "Pooling" bottom: "x" top: "p" top: "m"
      pooling_param {{ kernel_size: {kernel} stride: {kernel} }} }}
    layer {{ name: "u" type: "Upsample" bottom: "p" bottom: "m" top: "u"
      upsample_param {{ scale: {kernel} {pad_out} }} }}""")
    net = caffe.Net(str(path), caffe.TEST)
    x = random(2, 3, size, size)
    y = net.forward(x=x)["u"]
    kept = y != 0
    assert kept.sum() == net.blobs["p"].count and np.array_equal(y[kept], x[kept])
    net.backward(u=np.ones_like(y))
    assert np.array_equal(net.blobs["x"].diff, kept)  # the gradient comes back where it came from


def test_without_a_mask_every_pixel_becomes_a_square(device):
    rig = upsample("scale_h: 2 scale_w: 3", masked=False)
    x = random(2, 3, 2, 3)
    close(rig.forward(x), x.repeat(2, 2).repeat(3, 3))
    if device == "cpu":
        check_gradient(rig, x)


@pytest.mark.parametrize(
    ("body", "masked", "match"),
    [
        ("scale_h: 2", True, "scale_h and scale_w must be given together"),
        ("upsample_w: 2", True, "upsample_h and upsample_w must be given together"),
        ("scale: 2 scale_h: 2 scale_w: 2", True, "not both"),
        ("scale: 0", True, "must be positive"),
        ("scale: 3 pad_out_h: true", True, "need a scale of 2"),
        ("", False, "without a mask"),
        ("scale: 2 upsample_h: 4 upsample_w: 4", False, "without a mask"),
    ],
)
def test_upsample_settings_that_make_no_sense(body, masked, match):
    with pytest.raises(LayerError, match=match):
        upsample(body, masked=masked)


def test_the_mask_has_the_bottoms_shape():
    with pytest.raises(ShapeError, match="mask must have the shape"):
        Rig('type: "Upsample"', (1, 1, 2, 2), (1, 1, 2, 3))


# Interp -------------------------------------------------------------------------------------------


def interp(body, shape=(2, 3, 5, 4)):
    return Rig(f'type: "Interp" interp_param {{ {body} }}', shape)


def bilinear(x, size):
    """Corners aligned: output i of n lies at i (m - 1) / (n - 1) of m inputs; both axes alike."""
    for axis, n in zip((2, 3), size):
        m = x.shape[axis]
        at = np.arange(n) * ((m - 1) / (n - 1) if n > 1 else 0)
        low = np.minimum(at.astype(int), m - 1)
        high = np.minimum(low + 1, m - 1)
        weight = (at - low).reshape((-1, 1) if axis == 2 else (-1,))
        x = x.take(low, axis) * (1 - weight) + x.take(high, axis) * weight
    return x


@pytest.mark.parametrize(
    ("body", "cut", "size"),
    [
        ("height: 9 width: 3", 0, (9, 3)),
        ("height: 1 width: 1", 0, (1, 1)),
        ("zoom_factor: 3", 0, (13, 10)),
        ("shrink_factor: 2", 0, (3, 2)),
        ("shrink_factor: 2 zoom_factor: 4", 0, (9, 5)),
        ("zoom_factor: 2 height: 50 width: 60", 0, (9, 7)),
        ("pad_beg: -1 pad_end: 0 zoom_factor: 2", 1, (7, 5)),
    ],
)
def test_interp(device, body, cut, size):
    rig = interp(body)
    x = random(2, 3, 5, 4)
    close(rig.forward(x), bilinear(x[:, :, cut:, cut:], size))
    if device == "cpu":
        check_gradient(rig, x)


@pytest.mark.parametrize("body", ["zoom_factor: 1", "shrink_factor: 1", "height: 5 width: 4"])
def test_interp_at_factor_1_is_the_identity(body):
    x = random(2, 3, 5, 4)
    assert np.array_equal(interp(body).forward(x), x)


def test_interp_keeps_the_corners_and_follows_a_reshape():
    rig = interp("zoom_factor: 8")
    x = random(2, 3, 5, 4)
    y = rig.forward(x)
    assert np.allclose(y[:, :, ::32, ::24], x[:, :, ::4, ::3], atol=1e-6)
    assert rig.reshape((1, 3, 3, 3)) == [(1, 3, 17, 17)]


@pytest.mark.parametrize(
    ("body", "match"),
    [
        ("", "needs zoom_factor, shrink_factor, or both"),
        ("height: 3", "needs zoom_factor, shrink_factor, or both"),
        ("zoom_factor: 0", "at least 1"),
        ("height: 3 width: 3 pad_beg: 1", "can only cut"),
        ("height: 0 width: 3", "would have the size"),
        ("zoom_factor: 2 pad_end: -4", "leave nothing"),
    ],
)
def test_interp_settings_that_make_no_sense(body, match):
    with pytest.raises(LayerError, match=match):
        interp(body)


# Permute ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "full"),
    [([0, 2, 3, 1], (0, 2, 3, 1)), ([3], (3, 0, 1, 2)), ([], (0, 1, 2, 3)), ([1, 0], (1, 0, 2, 3))],
)
def test_permute(device, order, full):
    body = " ".join(f"order: {axis}" for axis in order)
    rig = Rig(f'type: "Permute" permute_param {{ {body} }}', (2, 3, 4, 5))
    x = random(2, 3, 4, 5)
    assert np.array_equal(rig.forward(x), x.transpose(full))
    assert rig.top[0].data.flags.c_contiguous
    g = random(*rig.top[0].dims, seed=1)
    (d,) = rig.backward(g)
    assert np.array_equal(d, g.transpose(np.argsort(full)))


@pytest.mark.parametrize(
    ("body", "match"), [("order: 4", "axis 4"), ("order: 1 order: 1", "twice")]
)
def test_permute_of_axes_that_are_not_there(body, match):
    with pytest.raises(ShapeError, match=match):
        Rig(f'type: "Permute" permute_param {{ {body} }}', (2, 3, 4, 5))


# Depthwise convolution ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ConvolutionDepthwise", "DepthwiseConvolution"])
@pytest.mark.parametrize(
    "outputs", ["", "num_output: 4", "num_output: 8", "num_output: 4 group: 4"]
)
def test_depthwise_is_a_convolution_with_one_group_a_channel(device, kind, outputs):
    body = "kernel_size: 3 pad: 1 stride: 2"
    rig = Rig(f'type: "{kind}" convolution_param {{ {body} {outputs} }}', (2, 4, 5, 6))
    total = 8 if "8" in outputs else 4
    plain = Rig('type: "Convolution" convolution_param '
                f"{{ {body} num_output: {total} group: 4 }}", (2, 4, 5, 6))
    assert rig.layer.blobs[0].dims == plain.layer.blobs[0].dims == (total, 1, 3, 3)
    for i, (a, b) in enumerate(zip(rig.layer.blobs, plain.layer.blobs)):
        a.data[...] = b.data[...] = random(*a.dims, seed=i)
    x = random(2, 4, 5, 6, seed=7)
    close(rig.forward(x), plain.forward(x))
    g = random(*rig.top[0].dims, seed=8)
    close(rig.backward(g)[0], plain.backward(g)[0])
    for a, b in zip(rig.layer.blobs, plain.layer.blobs):
        close(a.diff, b.diff)


def test_depthwise_refuses_another_group():
    with pytest.raises(LayerError, match="number of channels, 4, got 2"):
        Rig('type: "ConvolutionDepthwise" convolution_param { kernel_size: 1 group: 2 }',
            (1, 4, 2, 2))
    with pytest.raises(LayerError, match="multiple of group"):
        Rig('type: "ConvolutionDepthwise" convolution_param { kernel_size: 1 num_output: 6 }',
            (1, 4, 2, 2))


# BN -----------------------------------------------------------------------------------------------

SHAPE = (3, 4, 5, 2)


def bn(body, phase=TRAIN, in_place=False, shape=SHAPE):
    rig = Rig(f'type: "BN" bn_param {{ {body} }}', shape, phase=phase, in_place=in_place)
    for i, blob in enumerate(rig.layer.blobs):
        blob.data[...] = random(*blob.dims, seed=20 + i, low=0.5, high=2)
    return rig


def normal(x, eps):
    mean = x.mean((0, 2, 3), keepdims=True)
    return (x - mean) / np.sqrt(x.var((0, 2, 3), keepdims=True) + eps)


@pytest.mark.parametrize("phase", [TRAIN, TEST])
@pytest.mark.parametrize("body", ["", "frozen: true", "statistics: BATCH", "statistics: NONE",
                                  "eps: 0.5 momentum: 0.25"])
def test_bn(device, body, phase):
    rig = bn(body, phase)
    assert [b.dims for b in rig.layer.blobs] == [(1, 4, 1, 1)] * (2 if "stat" in body else 4)
    slope, bias, *moving = (b.data.astype(np.float64) for b in rig.layer.blobs)
    eps = rig.layer.eps
    assert np.isclose(eps, 0.5 if "eps" in body else 1e-5)
    x = random(*SHAPE, seed=3)
    batch = "BATCH" in body or ("stat" not in body and "frozen" not in body and phase == TRAIN)
    if batch:
        expected = slope * normal(x.astype(np.float64), eps) + bias
    elif moving:
        expected = slope * (x - moving[0]) / np.sqrt(moving[1] + eps) + bias
    else:
        expected = slope * x + bias
    close(rig.forward(x), expected)
    if moving:
        old = 0.25 if "momentum" in body else 0.9
        share = 1 - old if batch else 0
        axes = (0, 2, 3)
        wanted = [(1 - share) * m + share * s for m, s in
                  zip(moving, (x.mean(axes, keepdims=True), x.var(axes, keepdims=True)))]
        for blob, value in zip(rig.layer.blobs[2:], wanted):
            close(blob.data, value)


@pytest.mark.parametrize("phase", [TRAIN, TEST])
@pytest.mark.parametrize("body", ["momentum: 1", "statistics: BATCH", "statistics: NONE"])
def test_bn_gradients(body, phase):
    rig = bn(body, phase)
    x = random(*SHAPE, seed=3)
    checked = rig.layer.blobs[:2]
    moving = list(rig.layer.blobs[2:])
    g = random(*SHAPE, seed=4)
    rig.forward(x)
    (d,) = rig.backward(g)

    def loss():
        return float((g.astype(np.float64) * rig.forward()).sum())

    step = 1e-2
    for blob, found in [(rig.bottom[0], d), *((b, b.diff.copy()) for b in checked)]:
        flat, expected = blob.data.reshape(-1), np.zeros(blob.count)
        for i in range(blob.count):
            kept = flat[i]
            flat[i] = kept + step
            high = loss()
            flat[i] = kept - step
            expected[i] = (high - loss()) / (2 * step)
            flat[i] = kept
        scale = max(1, np.abs(expected).max())
        assert np.abs(expected - found.reshape(-1)).max() < 2e-2 * scale
    assert not any(b.diff.any() for b in moving)


@pytest.mark.parametrize("body", ["", "statistics: NONE", "frozen: true"])
@pytest.mark.parametrize("phase", [TRAIN, TEST])
def test_bn_in_place_under_a_layer_that_overwrites_it(body, phase):
    apart, within = bn(body, phase), bn(body, phase, in_place=True)
    x, g = random(*SHAPE, seed=5), random(*SHAPE, seed=6)
    close(within.forward(x), apart.forward(x))
    within.top[0].data[...] = 0  # as a ReLU in place might
    close(within.backward(g)[0], apart.backward(g)[0])
    for a, b in zip(apart.layer.blobs[:2], within.layer.blobs[:2]):
        if not apart.layer.frozen:
            close(b.diff, a.diff)


def test_bn_blobs_that_are_not_learned(tmp_path):
    path = tmp_path / "n.prototxt"
    text = """
    layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 2 dim: 2 } } }
    layer { name: "bn" type: "BN" bottom: "x" top: "y" bn_param { slope_filler { value: 1 } %s } }
    layer { name: "l" type: "Reduction" bottom: "y" top: "l" loss_weight: 1 }"""
    path.write_text(text % "" if "Reduction" in caffe.layer_type_list()
                    else (text % "").replace("Reduction", "Power"))
    net = caffe.Net(str(path), caffe.TRAIN)
    assert net.params_lr == [1, 1, 0, 0] and net.params_weight_decay == [1, 1, 0, 0]
    path.write_text(path.read_text().replace("value: 1 }", "value: 1 } frozen: true"))
    frozen = caffe.Net(str(path), caffe.TRAIN)
    assert frozen.params_lr == [0] * 4
    assert (frozen.params["bn"][3].data == 1).all()


def test_bn_of_another_number_of_channels():
    with pytest.raises(ShapeError, match="4 channels"):
        bn("").reshape((3, 5, 5, 2))
    with pytest.raises(ShapeError, match="channel axis"):
        bn("", shape=(3,))
