"""MemoryData and Net.set_input_arrays: arrays in place, and what is refused."""

import gc

import numpy as np
import pretend_graphs
import pytest

import caffe

NET = """
layer { name: "memory" type: "MemoryData" top: "data" top: "label"
        memory_data_param { batch_size: 2 channels: 3 height: 1 width: 2 } }
layer { name: "twice" type: "Power" bottom: "data" top: "twice" power_param { scale: 2 } }
"""


def make(tmp_path, text=NET):
    (tmp_path / "net.prototxt").write_text(text)
    return caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST)


@pytest.fixture
def net(tmp_path, device):
    return make(tmp_path)


def arrays(items=4):
    data = np.arange(items * 6, dtype=np.float32).reshape(items, 3, 1, 2)
    return data, np.arange(items, dtype=np.float32)


def test_walks_through_the_arrays_and_starts_over(net):
    data, labels = arrays()
    assert list(net.blobs["label"].shape) == [2]
    net.set_input_arrays(data, labels)
    for first in (0, 2, 0):
        net.forward()
        np.testing.assert_array_equal(net.blobs["data"].data, data[first : first + 2])
        np.testing.assert_array_equal(net.blobs["twice"].data, 2 * data[first : first + 2])
        assert net.blobs["label"].data.ravel().tolist() == [first, first + 1]
        assert list(net.blobs["label"].shape) == [2, 1, 1, 1]  # 4 axes from now on, as in BVLC


def test_later_edits_are_seen(net):
    data, labels = arrays(2)
    net.set_input_arrays(data, labels)
    net.forward()
    held = net.blobs["data"].data
    data[0] = -7
    labels_before = labels.copy()
    net.forward()
    assert (net.blobs["twice"].data[0] == -14).all() and (held[0] == -7).all()
    np.testing.assert_array_equal(net.blobs["label"].data.ravel(), labels_before)


def test_the_tops_are_the_array(tmp_path):
    net = make(tmp_path)
    data, labels = arrays()
    net.set_input_arrays(data, labels)
    net.forward()
    net.blobs["data"].data[...] = 5
    assert (data[:2] == 5).all() and data[2, 0, 0, 0] == 12


def test_the_arrays_are_kept_alive(net):
    net.set_input_arrays(*arrays())
    gc.collect()
    net.forward()
    net.forward()
    assert net.blobs["data"].data[1].ravel().tolist() == [18, 19, 20, 21, 22, 23]


def test_new_arrays_start_at_their_beginning(net):
    net.set_input_arrays(*arrays())
    net.forward()
    data, labels = arrays(6)
    net.set_input_arrays(data + 100, labels.reshape(6, 1, 1, 1))
    net.forward()
    assert net.blobs["data"].data[0, 0, 0, 0] == 100


def test_passes_over_batches_are_replayed_on_a_gpu(pretend, tmp_path):
    """The tops keep what CUDA graphs know of them, whichever batch they show."""
    text = NET + 'layer { name: "more" type: "Power" bottom: "twice" top: "more" }'
    net = make(tmp_path, text)
    data, labels = arrays(6)
    net.set_input_arrays(data, labels)
    with pretend_graphs.replayed() as graphs:
        for k in range(12):
            with pretend.counting() as counts:
                net.forward_loss()
            first = 2 * (k % 3)
            np.testing.assert_array_equal(net.blobs["more"].data, 2 * data[first : first + 2])
        assert len(graphs) == 1
        assert counts["launch"] == 2, counts.lines("launch")  # the batch to its place, the graph
    assert counts["H2D"] == 1, counts.lines("H2D")
    data[...] = -1  # the memory is still the caller's
    net.forward()
    assert (net.blobs["more"].data == -2).all()


def test_read_only_arrays(net):
    data, labels = arrays(2)
    view = data.view()
    view.flags.writeable = False
    net.set_input_arrays(view, labels)
    net.forward()
    net.blobs["data"].data[...] = 9
    assert data[0, 0, 0, 1] == 1
    data[...] = 3
    net.forward()
    assert (net.blobs["twice"].data == 6).all()


def test_forward_before_any_arrays(net):
    with pytest.raises(RuntimeError, match=r"needs to be initialized.*set_input_arrays"):
        net.forward()
    net.set_input_arrays(*arrays())
    net.forward()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d, b: (d.tolist(), b), "data array: expected .* got list"),
        (lambda d, b: (d.astype(np.float64), b), "data array must be float32"),
        (lambda d, b: (d.astype(">f4"), b), "data array must be float32"),
        (lambda d, b: (np.asfortranarray(d), b), "data array must be C contiguous"),
        (lambda d, b: (d[:, 0].copy(), b), "data array must be 4-d"),
        (lambda d, b: (d[:, :1].copy(), b), "data array has wrong number of channels"),
        (lambda d, b: (d.reshape(4, 3, 2, 1), b), "data array has wrong height"),
        (lambda d, b: (d[..., :1].copy(), b), "data array has wrong width"),
        (lambda d, b: (d, b.astype(int)), "labels array must be float32"),
        (lambda d, b: (d, np.zeros((4, 2), np.float32)), "labels array must be 4-d"),
        (lambda d, b: (d, b[:2]), "same first dimension"),
        (lambda d, b: (d[:3], b[:3]), "multiple of batch size"),
        (lambda d, b: (d[:0], b[:0]), "multiple of batch size"),
    ],
)
def test_arrays_that_do_not_fit(tmp_path, change, message):
    net = make(tmp_path)
    data, labels = arrays()
    net.set_input_arrays(data, labels)
    with pytest.raises(RuntimeError, match=f"layer 'memory'.*{message}"):
        net.set_input_arrays(*change(data, labels))
    net.forward()  # with the arrays from before
    assert net.blobs["data"].data[0, 0, 0, 1] == 1


def test_the_first_layer_must_be_memory_data(tmp_path):
    net = make(
        tmp_path, 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 } } }'
    )
    with pytest.raises(RuntimeError, match="first layer is a MemoryDataLayer; it is Input"):
        net.set_input_arrays(*arrays())


def test_settings_must_be_positive(tmp_path):
    with pytest.raises(caffe.Error, match="must be specified and positive"):
        make(tmp_path, NET.replace("channels: 3", ""))
