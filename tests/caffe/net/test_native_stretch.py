"""Programs of nets with wide padding: what they compute is what the layers compute."""

import numpy as np
import pytest
from padded_nets import INPUT, NETS, conv

import caffe
from caffe import native
from caffe.native.program import Program
from caffe.net import native_layers, native_stretch
from caffe.net.native_program import NativeProgram

pytestmark = [
    pytest.mark.cpu_only,
    pytest.mark.skipif(not native.available(), reason=native.why_not() or "available"),
]

SIZES = [{}, {"n": 2, "h": 33, "w": 70}, {"n": 1, "h": 1, "w": 2}]


@pytest.fixture(autouse=True)
def frames(monkeypatch):
    """Programs are made in the second pass; gives the frames of all that were made."""
    monkeypatch.setattr(NativeProgram, "patience", 2)
    found = []

    def built(*given):
        stretch = make(*given)
        found.extend(stretch.frames)
        return stretch

    make = native_stretch.build
    monkeypatch.setattr(native_stretch, "build", built)
    return found


@pytest.fixture
def nets(tmp_path):
    """Two nets of the same text with the same weights."""

    def build(text):
        path = tmp_path / "net.prototxt"
        path.write_text(text)
        made = []
        for _ in range(2):
            caffe.set_random_seed(3)
            made.append(caffe.Net(str(path), caffe.TEST))
        return made

    return build


def run(net, seed):
    shape = net.blobs["data"].data.shape
    net.blobs["data"].data[...] = np.random.RandomState(seed).randn(*shape)
    return {name: array.copy() for name, array in net.forward().items()}


def assert_close(got, want):
    assert got.keys() == want.keys()
    for name in want:
        assert np.abs(got[name] - want[name]).max() <= 1e-5 * np.abs(want[name]).max(), name


def compare(nets, monkeypatch, seeds=range(5)):
    net, plain = nets
    for seed in seeds:
        found = run(net, seed)
        with monkeypatch.context() as m:
            m.setenv("CAFFE_KERNELS", "plain")
            assert_close(found, run(plain, seed))


@pytest.mark.parametrize("winograd", [False, True])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", NETS)
def test_outputs_are_those_of_the_layers(nets, monkeypatch, frames, name, size, winograd):
    if winograd:
        monkeypatch.setattr(native_layers, "_WINOGRAD_LEAST_CHANNELS", 16)
        monkeypatch.setattr(native_layers, "_WINOGRAD_LEAST_BLOCKS", 1)
    made = nets(NETS[name](**size))
    compare(made, monkeypatch)
    assert frames
    for blob in made[0].blobs:  # hidden ones are computed, then become outputs
        assert_close({blob: made[0].blobs[blob].data}, {blob: made[1].blobs[blob].data})
    compare(made, monkeypatch, range(5, 8))


def test_other_weights_have_other_borders(nets, monkeypatch):
    made = nets(NETS["vgg"]())
    compare(made, monkeypatch)
    for net in made:
        net.params["conv1"][1].data[...] += 1
    compare(made, monkeypatch)


def test_a_map_holds_no_more_than_is_read(nets, monkeypatch):
    """16 rows of the crop's 39 depend on the image; those of the layer before reach 2 further."""
    sizes = []
    add = Program.convolution_part
    monkeypatch.setattr(
        Program,
        "convolution_part",
        lambda self, x, out, *given: (sizes.append((x.h, out.h)), add(self, x, out, *given)),
    )
    text = (
        INPUT.format(1, 12, 12)
        + conv("conv1", "data", 32, "kernel_size: 3 pad: 40")
        + conv("conv2", "conv1", 32, "kernel_size: 3 pad: 1")
        + conv("score", "conv2", 4, "kernel_size: 1")
        + 'layer { name: "crop" type: "Crop" bottom: "score" bottom: "data" top: "crop" '
        "crop_param { offset: 40 } }\n"
    )
    compare(nets(text), monkeypatch)
    # 12 rows of the image are seen by 14 of conv1, 16 of conv2 and of score.
    assert sizes == [(12, 18), (18, 16), (16, 16)]


UPSAMPLING = """layer {{ name: "up" type: "Deconvolution" bottom: "conv2" top: "up"
  convolution_param {{ num_output: 8 kernel_size: {0} stride: {1} pad: 1 {2} }} }}
layer {{ name: "crop" type: "Crop" bottom: "up" bottom: "data" top: "crop"
  crop_param {{ offset: 3 offset: 2 }} }}
"""
AFTER = 'layer { name: "relu" type: "ReLU" bottom: "crop" top: "relu" }\n'
OWN = 'group: 8 weight_filler { type: "msra" }'
MIXED = 'weight_filler { type: "msra" } bias_filler { type: "gaussian" std: 1 }'
BILINEAR = 'bias_term: false weight_filler { type: "bilinear" }'


@pytest.mark.parametrize("kernel", [(4, 2), (5, 3), (3, 1), (7, 2)])
@pytest.mark.parametrize("kind", [OWN, MIXED, BILINEAR])
@pytest.mark.parametrize("after", ["", AFTER])
def test_what_is_cropped_off_is_not_computed(nets, monkeypatch, kernel, kind, after):
    crops, crop = [], Program.crop
    monkeypatch.setattr(Program, "crop", lambda *given: (crops.append(1), crop(*given)))
    text = INPUT.format(2, 12, 13) + conv("conv1", "data", 8, "kernel_size: 3 pad: 4")
    text += conv("conv2", "conv1", 8, "kernel_size: 3") + UPSAMPLING.format(*kernel, kind) + after
    made = nets(text)
    compare(made, monkeypatch)
    assert not crops
    assert_close({"up": made[0].blobs["up"].data}, {"up": made[1].blobs["up"].data})
    compare(made, monkeypatch, range(5, 10))  # now the top of the deconvolution is an output
    assert crops == [1]


def test_what_is_read_twice_is_computed_whole(nets, monkeypatch):
    text = INPUT.format(1, 12, 13) + conv("conv1", "data", 8, "kernel_size: 3 pad: 4")
    text += conv("conv2", "conv1", 8, "kernel_size: 3") + UPSAMPLING.format(4, 2, OWN)
    text += 'layer { name: "tail" type: "TanH" bottom: "up" top: "tail" }\n'
    compare(nets(text), monkeypatch)
