"""pycaffe's vectors: what they are, what they take, and which names of a net they stand behind."""

import numpy as np
import pytest

import caffe
from caffe._caffe import BlobVec, BoolVec, DtypeVec, IntVec, LayerVec, NetVec, RawBlobVec, StringVec
from caffe.blob import Blob

NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
        inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }
"""


@pytest.fixture
def net(tmp_path):
    text = NET
    (tmp_path / "net.prototxt").write_text(text)
    return caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST)


@pytest.mark.parametrize(
    "kind, values, other",
    [
        (IntVec, [3, -1, 2**31 - 1], 1.5),
        (StringVec, ["conv1", "", "ä"], 3),
        (DtypeVec, [0.5, 1.0, float("inf")], "1"),
        (BoolVec, [True, False, True], 1),
        (BlobVec, [Blob((1,)), Blob((2,)), Blob(())], np.zeros(1)),
        (RawBlobVec, [Blob((1,)), Blob((2,)), Blob(())], np.zeros(1)),
    ],
)
def test_a_vector_holds_one_kind(kind, values, other):
    vector = kind()
    for value in values[:2]:
        vector.append(value)
    vector.extend(values[2:])
    assert list(vector) == values and len(vector) == 3 and values[1] in vector
    assert vector[-1] is vector[2]
    part = vector[:2]
    assert type(part) is kind and list(part) == values[:2]
    vector[0] = values[1]
    vector[1:2] = [values[0]]
    assert list(vector) == [values[1], values[0], values[2]]
    del vector[0]
    assert list(vector) == [values[0], values[2]]
    for refused in (
        lambda: vector.append(other),
        lambda: vector.extend([values[0], other]),
        lambda: vector.insert(0, other),
        lambda: vector.__setitem__(0, other),
        lambda: vector.__setitem__(slice(0, 1), [other]),
        lambda: vector.__iadd__([other]),
        lambda: kind([other]),
    ):
        with pytest.raises(TypeError, match=f"{kind.__name__} holds .*, got "):
            refused()
    assert list(vector) == [values[0], values[2]]
    with pytest.raises(IndexError):
        vector[2]
    with pytest.raises(IndexError):
        del vector[-3]


def test_numpy_scalars_become_python_numbers():
    assert [type(v) for v in IntVec([np.int64(3)])] == [int]
    assert [type(v) for v in DtypeVec([np.float32(0.5), 2])] == [float, float]
    assert [type(v) for v in BoolVec([np.True_])] == [bool]


def test_where_a_net_has_them(net):
    kinds = {
        "_blob_names": StringVec,
        "_layer_names": StringVec,
        "_inputs": IntVec,
        "_outputs": IntVec,
        "_blob_loss_weights": DtypeVec,
        "_blobs": BlobVec,
        "layers": LayerVec,
    }
    assert {name: type(getattr(net, name)) for name in kinds} == kinds
    assert type(net._top_ids(1)) is IntVec and list(net._bottom_ids(1)) == [0]
    assert type(net.blobs["data"].shape) is IntVec
    assert type(net.params["ip"]) is BlobVec and type(net.layers[1].blobs) is BlobVec
    assert type(net.layers[:1]) is LayerVec and type(net.params["ip"][:1]) is BlobVec
    assert type(caffe.layer_type_list()) is StringVec
    assert net.params is net.params and net.blobs is net.blobs
    layers, nets = LayerVec(), NetVec()
    layers.append(net.layers[0])
    nets.append(net)
    assert layers[0] is net.layers[0] and nets[0] is net
    for vector in (layers, nets):
        with pytest.raises(TypeError, match="holds (layers|nets), got int"):
            vector.append(3)


def test_another_blob_rebinds_a_parameter(net):
    other = Blob((4, 3))
    other.data[...] = 2
    net.params["ip"][0] = other
    net.blobs["data"].data[...] = 1
    assert net.forward()["ip"].tolist() == [[6.0] * 4] * 2
    with pytest.raises(TypeError, match=r"data\[\.\.\.\] = array"):
        net.params["ip"][0] = np.zeros((4, 3), np.float32)


LAYER = """
import caffe
seen = {}


class Spy(caffe.Layer):
    def setup(self, bottom, top):
        self.blobs.add_blob(2)
        seen["setup"] = type(bottom), type(top), type(self.blobs)

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        top[0].data[...] = bottom[0].data

    def backward(self, top, propagate_down, bottom):
        seen["backward"] = type(top), type(propagate_down), list(propagate_down)
"""


def test_what_a_python_layer_is_given(tmp_path, monkeypatch):
    (tmp_path / "spy_layer.py").write_text(LAYER)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "spy.prototxt").write_text(
        'force_backward: true layer { name: "data" type: "Input" top: "data" '
        "input_param { shape { dim: 2 } } } "
        'layer { name: "spy" type: "Python" bottom: "data" top: "spy" '
        'python_param { module: "spy_layer" layer: "Spy" } }'
    )
    net = caffe.Net(str(tmp_path / "spy.prototxt"), caffe.TRAIN)
    net.forward()
    net.backward()
    import spy_layer

    assert spy_layer.seen["setup"] == (RawBlobVec, RawBlobVec, BlobVec)
    assert spy_layer.seen["backward"] == (RawBlobVec, BoolVec, [True])
    with pytest.raises(AttributeError):
        net.layers[1].blobs = []  # a property, as in pycaffe
