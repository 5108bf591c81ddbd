"""The execution plan: what it skips, and that nobody can tell from the blobs."""

import numpy as np
import pytest
from padded_nets import NETS, POOL, alexnet, vgg

import caffe
from caffe import device as devices
from caffe.kernels.window import blocks_of, dependent
from caffe.layer import convolution as layer_file
from caffe.net.native_program import NativeProgram

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _layer_by_layer(monkeypatch):
    """Programs of the native kernels keep borders in their own way (test_native_stretch.py)."""
    monkeypatch.setattr(NativeProgram, "patience", 1 << 30)


@pytest.fixture
def build(tmp_path):
    """A net from prototxt text; the same text gives the same weights."""

    def build(text, phase=caffe.TEST):
        path = tmp_path / "net.prototxt"
        path.write_text(text)
        caffe.set_random_seed(3)
        return caffe.Net(str(path), phase)

    return build


@pytest.fixture
def computed(monkeypatch):
    """How many blocks each convolution computed (None: all at once), in order."""
    seen = []

    def spied(forward):
        def spy(call, relu=False, out=None, blocks=None):
            seen.append(None if blocks is None else len(blocks))
            return forward(call, relu, out, blocks)

        return spy

    for way in layer_file.convolution.WAYS:
        monkeypatch.setattr(way, "forward", spied(way.forward))
    return seen


def image(net, seed=0):
    return np.random.RandomState(seed).randn(*net.blobs["data"].shape).astype(np.float32)


def run(net, seed=0, **how):
    net.blobs["data"].data[...] = image(net, seed)
    return {name: array.copy() for name, array in net.forward(**how).items()}


def blobs(net):
    return {name: blob.data.copy() for name, blob in net.blobs.items()}


def assert_same_bits(got, want):
    for name in want:
        assert np.array_equal(got[name], want[name]), name


def assert_close(got, want):
    for name in want:
        assert np.abs(got[name] - want[name]).max() <= 2e-5 * np.abs(want[name]).max(), name


# The interval arithmetic ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("extent", "stride", "pad"), [(3, 1, 9), (2, 2, 0), (3, 2, 0), (7, 3, 5), (1, 2, 0)]
)
def test_the_window_is_what_can_change(extent, stride, pad):
    size, inside = 40, (13, 29)
    out = (size + 2 * pad - extent) // stride + 1
    sees = [
        any(inside[0] <= p < inside[1] for p in range(o * stride - pad, o * stride - pad + extent))
        for o in range(out)
    ]
    first, end = dependent(inside, out, extent, stride, pad)
    assert sees == [first <= o < end for o in range(out)]


def test_blocks_tile_the_output():
    for rows, columns in [((3, 7), (2, 9)), ((0, 7), (2, 10)), ((0, 11), (0, 10))]:
        count = np.zeros((11, 10), int)
        for r0, r1, c0, c1 in blocks_of(rows, columns, 11, 10):
            count[r0:r1, c0:c1] += 1
        assert (count == 1).all()


# Results --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("size", [{}, {"n": 2, "h": 33, "w": 70}, {"n": 1, "h": 1, "w": 2}])
def test_equals_the_plain_engine(build, monkeypatch, name, size):
    planned, plain = build(NETS[name](**size)), build(NETS[name](**size))
    for seed in range(3):
        run(planned, seed)
        with monkeypatch.context() as m:
            m.setenv("CAFFE_KERNELS", "plain")
            run(plain, seed)
    assert_close(blobs(planned), blobs(plain))


@pytest.mark.cpu_only
@pytest.mark.parametrize("name", NETS)
def test_only_the_window_is_computed_again(build, computed, name):
    net = build(NETS[name]())
    run(net, 0)
    first = list(computed)
    assert [n for n in first if n], "no convolution has a window"
    assert all(n == 5 for n in first if n)
    for seed in (1, 2):
        computed.clear()
        run(net, seed)
        assert computed == [1 if n == 5 else n for n in first]


@pytest.mark.parametrize("name", NETS)
def test_results_do_not_depend_on_earlier_passes(build, name):
    net = build(NETS[name]())
    for seed in (1, 2, 0):
        run(net, seed)
    fresh = build(NETS[name]())
    run(fresh, 0)
    assert_same_bits(blobs(net), blobs(fresh))


def test_callbacks_see_every_layer_and_the_same_bits(build, computed):
    net, fresh = build(vgg()), build(vgg())
    seen = {}
    run(net, 1)
    net.after_forward(lambda i: seen.setdefault(net._layer_names[i], net.blobs["conv1"].data.min()))
    computed.clear()
    run(net, 0)
    assert 1 not in computed
    assert list(seen) == list(net._layer_names)
    assert seen["conv1"] < 0 and seen["relu_conv1"] == 0
    run(fresh, 0)
    got, want = blobs(net), blobs(fresh)
    # A 1x1 convolution for a callback is another library's product, with other bits on some
    # processors (docs/gaps.md).
    for name in ("score", "crop"):
        np.testing.assert_allclose(got[name], want.pop(name), rtol=1e-5, atol=1e-6)
    assert_same_bits(got, want)


def test_a_range_that_ends_between_convolution_and_relu(build):
    net = build(vgg())
    run(net, 0)
    run(net, 0, end="conv2")
    assert net.blobs["conv2"].data.min() < 0
    net.forward(start="relu_conv2")
    fresh = build(vgg())
    run(fresh, 0)
    assert_close(blobs(net), blobs(fresh))


# Observers ------------------------------------------------------------------------------------


@pytest.mark.cpu_only
def test_a_weight_edit_makes_the_border_anew(build, computed):
    net, fresh = build(vgg()), build(vgg())
    run(net, 1)
    for n in (net, fresh):
        n.params["conv2"][1].data[...] += 1
    computed.clear()
    run(net, 0)
    assert computed[:3] == [1, 5, 5]  # conv1 as before, conv2 and what follows in full
    run(fresh, 0)
    assert_same_bits(blobs(net), blobs(fresh))


def test_weights_that_somebody_holds_are_never_trusted(build, computed):
    net = build(vgg())
    weights = net.params["conv1"][0].data
    for seed in range(3):
        computed.clear()
        run(net, seed)
        assert 1 not in computed
    before = net.blobs["conv1"].data.copy()
    weights *= 2  # nobody is told
    run(net, 2)
    assert not np.array_equal(net.blobs["conv1"].data, before)


@pytest.mark.cpu_only
def test_an_array_that_is_kept_shows_each_result(build):
    net, fresh = build(vgg()), build(vgg())
    run(net, 1)
    kept = net.blobs["conv2"].data
    for seed in (2, 0):
        run(net, seed)
    run(fresh, 0)
    assert np.array_equal(kept, fresh.blobs["conv2"].data)
    assert_close(blobs(net), blobs(fresh))


def test_a_layer_that_works_in_place_on_a_step_s_result(build):
    """It overwrites the border, too; what is kept from the last pass is then no longer it."""
    tanh = 'layer { name: "tanh" type: "TanH" bottom: "conv2" top: "conv2" }\n'
    pool = POOL.format("pool1", "conv2", 2)
    text = vgg().replace(pool, tanh + pool)
    net, fresh = build(text), build(text)
    for seed in (1, 2, 0):
        run(net, seed)
    run(fresh, 0)
    assert_same_bits(blobs(net), blobs(fresh))


def test_an_edit_of_the_border_is_overwritten(build):
    net, fresh = build(vgg()), build(vgg())
    run(net, 1)
    for name in ("conv1", "pool1", "conv3"):
        net.blobs[name].data[:, :, 0, 0] = 1e6
    run(net, 0)
    run(fresh, 0)
    assert_same_bits(blobs(net), blobs(fresh))


def test_a_pass_from_an_edited_blob_uses_the_edit(build, monkeypatch):
    planned, plain = build(vgg()), build(vgg())

    def edit_and_run(net):
        run(net, 1)
        run(net, 2)
        net.blobs["pool1"].data[:, :, :5] = 7
        net.forward(start="conv3")

    edit_and_run(planned)
    with monkeypatch.context() as m:
        m.setenv("CAFFE_KERNELS", "plain")
        edit_and_run(plain)
    assert_close(blobs(planned), blobs(plain))


def test_a_border_from_older_weights_below_is_not_kept(build):
    """The upper layers' borders are from before the edit though nobody touched them."""
    net, fresh = build(vgg()), build(vgg())
    run(net, 1)
    for n in (net, fresh):
        n.params["conv1"][1].data[...] += 1
    run(net, 1, end="relu_conv1")  # conv1's border is new, conv2's is old
    run(net, 0)
    run(fresh, 0)
    assert_same_bits(blobs(net), blobs(fresh))


@pytest.mark.parametrize("how", ["shared", "put in place"])
def test_weights_of_another_net_make_the_border_anew(build, how):
    """Both nets' weights have been written as often; that must not make them look the same."""
    net, other = build(vgg()), build(vgg())
    for n, factor in ((net, 1.5), (other, -1.5)):
        for params in n.params.values():
            for blob in params:
                blob.data[...] *= factor
        run(n, 0)
        run(n, 0)
    if how == "shared":
        net.share_with(other)
    else:
        for name, params in other.params.items():
            net.params[name][:] = params
    run(net, 1)
    run(other, 1)
    assert_same_bits(blobs(net), blobs(other))


def test_reshape_and_back(build):
    net, fresh = build(vgg()), build(vgg())
    run(net, 1)
    for shape in ((1, 3, 20, 22), (2, 3, 30, 64), (1, 3, 40, 51)):
        net.blobs["data"].reshape(*shape)
        net.reshape()
        run(net, 1)
        run(net, 2)
    run(net, 0)
    run(fresh, 0)
    assert_same_bits(blobs(net), blobs(fresh))


def test_a_non_finite_weight_spreads_as_it_does_in_full(build):
    net, fresh = build(vgg()), build(vgg())
    run(net, 1)
    for n in (net, fresh):
        n.params["conv1"][0].data[3, 1, 1, 1] = np.nan
        run(n, 0)
    for name, want in blobs(fresh).items():
        np.testing.assert_array_equal(net.blobs[name].data, want)
    assert np.isnan(fresh.blobs["conv1"].data[0, 3]).all()


@pytest.mark.cpu_only
def test_nets_that_run_backward_compute_everything(build, computed):
    net = build("force_backward: true\n" + vgg())
    want = build(vgg())
    for seed in (1, 0):
        run(net, seed)
    assert set(computed) == {None}
    run(want, 0)
    assert_close(blobs(net), blobs(want))
    net.blobs["conv4"].diff[...] = 1
    net.backward(start="relu_conv4")
    assert np.abs(net.blobs["data"].diff).max() > 0


def test_a_loss_on_a_step_is_counted(build):
    plain = 'name: "relu_conv3" type: "ReLU"'
    net = build(alexnet().replace(plain, plain + " loss_weight: 2"))
    for seed in (1, 0):
        net.blobs["data"].data[...] = image(net, seed)
        loss = float(net.forward_loss())
    total = net.blobs["conv3"].data.astype(float).sum()
    assert total > 0 and loss == pytest.approx(2 * total, rel=1e-4)


def test_the_mirror_device_is_left_alone(build, computed):
    net = build(vgg())
    run(net, 1)
    devices.set_mode_mirror()
    computed.clear()
    for seed in (2, 0):
        run(net, seed)
    assert set(computed) == {None}
    on_mirror = blobs(net)
    devices.set_mode_cpu()
    run(net, 0)
    assert_close(blobs(net), on_mirror)


@pytest.mark.cpu_only
def test_memory_is_used_again(build):
    net = build(vgg())
    run(net, 0)
    tensors = {n: net.blobs[n].data_tensor() for n in ("conv1", "conv2", "pool1", "conv3")}
    run(net, 1)
    for name, tensor in tensors.items():
        assert net.blobs[name].data_tensor().data_ptr() == tensor.data_ptr(), name


@pytest.mark.cpu_only
def test_gradients_lie_in_memory_as_the_data_does(build):
    """Else pooling's backward pass copies every blob it touches."""
    net = build("force_backward: true\n" + vgg())
    run(net, 0)
    net.blobs["conv4"].diff[...] = 1
    net.backward(start="relu_conv4")
    for name in ("conv2", "pool1"):
        strides = net.blobs[name].diff_tensor().stride()
        assert strides == net.blobs[name].data_tensor().stride()
        assert strides[1] == 1 and strides[0] == net.blobs[name].count


# Any sequence of what users do ------------------------------------------------------------------


def _actions(rng, net, kept):
    """One random action on ``net``; ``kept`` collects arrays that stay alive."""
    hidden = ["conv1", "conv2", "pool1"]
    which = rng.randint(10)
    name = hidden[rng.randint(len(hidden))]
    if which <= 2:
        run(net, rng.randint(1000))
    elif which == 3:
        run(net, rng.randint(1000), end=("conv1", "relu_conv1", "pool1", "conv2")[rng.randint(4)])
    elif which == 4:
        net.forward(start=("conv2", "pool1", "relu_conv1")[rng.randint(3)])
    elif which == 5:
        net.blobs[name].data[:, :, :3] = rng.randn()
    elif which == 6:
        net.params[("conv1", "conv2")[rng.randint(2)]][rng.randint(2)].data[...] *= -1.5
    elif which == 7:
        kept.append(net.blobs[name].data)
    elif which == 8:
        kept.clear()
    else:
        net.blobs["data"].reshape(1, 3, 20 + 7 * rng.randint(3), 30)


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("seed", range(12))
def test_any_sequence_of_actions(build, monkeypatch, name, seed):
    ends = []
    for mode in ("", "plain"):
        rng = np.random.RandomState(seed)
        kept = []
        monkeypatch.setenv("CAFFE_KERNELS", mode)
        net = build(NETS[name](n=1))
        run(net, 0)
        for _ in range(12):
            _actions(rng, net, kept)
        net.forward(start="conv2")
        ends.append([blobs(net), *({"kept": array.copy()} for array in kept)])
    for got, want in zip(*ends):
        assert_close(got, want)
