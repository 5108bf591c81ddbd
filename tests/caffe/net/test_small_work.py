"""Passes of small nets keep to one thread, and leave the number of threads as it was."""

import pytest
import torch

import caffe

NET = """
layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ dim: {0} dim: 3 dim: 8
  dim: 8 }} }} }}
layer {{ name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param {{ num_output: 64 kernel_size: 3
    weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "ip" type: "InnerProduct" bottom: "conv" top: "ip"
  inner_product_param {{ num_output: 10 weight_filler {{ type: "xavier" }} }} }}
"""


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def build(tmp_path):
    def build(items):
        path = tmp_path / "net.prototxt"
        path.write_text(NET.format(items))
        return caffe.Net(str(path), caffe.TEST)

    return build


def threads_within(net):
    seen = []
    net.after_forward(lambda i: seen.append(torch.get_num_threads()))
    net.forward()
    return seen


def test_the_work_of_a_pass(build):
    # 36 positions x 64 outputs x 27 weights, 2304 x 10, and 192 numbers of the input.
    assert build(1)._passes._work.work() == 36 * 64 * 27 + 2304 * 10 + 192 * 8


@pytest.mark.parametrize(("items", "threads"), [(1, 1), (2000, 2)])
def test_small_work_keeps_to_one_thread(build, two_threads, items, threads):
    net = build(items)
    assert threads_within(net) == [threads] * 3
    assert threads_within(net)[-3:] == [threads] * 3
    assert torch.get_num_threads() == 2


@pytest.mark.cpu_only  # elsewhere the pass itself finds the shapes
def test_a_new_shape_is_judged_anew(build, two_threads):
    net = build(1)
    net.forward()
    for items, threads in ((2000, 2), (1, 1)):
        net.blobs["data"].reshape(items, 3, 8, 8)
        assert threads_within(net)[-3:] == [threads] * 3  # the first pass like those after it
        assert threads_within(net)[-3:] == [threads] * 3


@pytest.mark.cpu_only
def test_a_pass_over_some_layers_leaves_the_others_as_they_are(build, two_threads):
    net = build(1)
    before = net.forward()["ip"].copy()
    net.blobs["data"].reshape(3, 3, 8, 8)
    net.forward(end="conv")
    assert (net.blobs["conv"].data.shape, net.blobs["ip"].data.shape) == ((3, 64, 6, 6), (1, 10))
    assert (net.blobs["ip"].data == before).all()


def test_a_shape_that_fits_no_layer_is_told_by_the_pass(build, two_threads):
    net = build(1)
    net.blobs["data"].reshape(1, 3, 2, 2)
    with pytest.raises(caffe.errors.Error, match="conv"):
        net.forward()
    assert torch.get_num_threads() == 2


def test_python_layers_make_their_shapes_in_the_pass_alone(tmp_path, two_threads):
    """Their reshape may read a picture, as those of FCN's data layers do."""
    path = tmp_path / "net.prototxt"
    path.write_text(
        'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 } } }'
        'layer { name: "p" type: "Python" bottom: "data" top: "p" '
        'python_param { module: "test_small_work" layer: "Counts" } }'
    )
    net = caffe.Net(str(path), caffe.TEST)
    net.blobs["data"].reshape(2)
    before = Counts.reshapes
    net.forward()
    assert Counts.reshapes == before + 1


class Counts(caffe.Layer):
    reshapes = 0

    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        Counts.reshapes += 1
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        top[0].data[...] = bottom[0].data


def test_a_failed_pass_leaves_the_threads_alone(build, two_threads):
    net = build(1)
    net.forward()

    def fail(i):
        raise KeyError(i)

    net.before_forward(fail)
    with pytest.raises(KeyError):
        net.forward()
    assert torch.get_num_threads() == 2


def test_an_error_in_a_pass_leaves_the_threads_as_they_were(build, two_threads):
    net = build(1)
    net.forward()

    def fail(i):
        raise RuntimeError("stop")

    net.before_forward(fail)
    with pytest.raises(RuntimeError, match="stop"):
        net.forward()
    assert torch.get_num_threads() == 2
    assert not net._passes._work._entered
