"""Which sizes of an exported net are free: those that the net takes."""

import numpy as np
import pytest
from exported_nets import CONV, run
from exporting import export, net_text

import caffe
from caffe.export import ExportError, check, sizes


def test_free_sizes_have_names_and_fixed_ones_numbers(tmp_path):
    made, model, _ = export(
        tmp_path,
        [CONV, "type: 'Pooling' pooling_param { kernel_size: 2 stride: 2 }"],
        (1, 3, 8, 6),
        dynamic=["batch", "width"],
    )
    assert made.inputs == {"x0": ["batch", 3, 8, "width"]}
    assert made.outputs == {"y1": ["batch", 4, 4, "y1_3"]}
    assert len(made.proofs) == 2 and made.proofs[1].shapes["x0"][0] == 2
    x = np.ones((3, 3, 8, 11), np.float32)
    assert run(tmp_path / "net.onnx", x0=x)["y1"].shape == (3, 4, 4, 6)


def test_what_cannot_be_free_stays_fixed_and_the_layer_is_named(tmp_path):
    layers = [CONV, "name: 'fc' type: 'InnerProduct' inner_product_param { num_output: 2 }"]
    made, _, _ = export(tmp_path, layers, (1, 3, 8, 6), dynamic=True)
    assert made.inputs == {"x0": ["batch", 3, 8, 6]}
    assert [note.split(":")[0] for note in made.notes] == [
        "height stays fixed",
        "width stays fixed",
    ]
    assert all("layer 'fc' (type InnerProduct)" in note for note in made.notes)
    with pytest.raises(ExportError, match="height cannot be dynamic: layer 'fc'"):
        export(tmp_path, layers, (1, 3, 8, 6), dynamic=["height"])


def test_a_layer_whose_windows_follow_from_the_size_keeps_it_fixed(tmp_path):
    layers = ["name: 'spp' type: 'SPP' spp_param { pyramid_height: 2 }"]
    made, _, _ = export(tmp_path, layers, (1, 3, 8, 6), dynamic=True)
    assert made.inputs == {"x0": ["batch", 3, 8, 6]}
    assert "layer 'spp' (type SPP)" in made.notes[0]
    with pytest.raises(ExportError, match="width cannot be dynamic: layer 'spp'"):
        export(tmp_path, layers, (1, 3, 8, 6), dynamic=["width"])


def test_crop_against_a_free_size_and_a_net_of_skips(tmp_path):
    """FCN's form: padded far, pooled with rounding up, upsampled, cropped to the image."""
    layers = [
        "name: 'conv' bottom: 'x0' top: 'conv' type: 'Convolution' convolution_param { "
        "num_output: 4 kernel_size: 3 pad: 20 }",
        "name: 'p1' bottom: 'conv' top: 'p1' type: 'Pooling' pooling_param { kernel_size: 2 "
        "stride: 2 }",
        "name: 'p2' bottom: 'p1' top: 'p2' type: 'Pooling' pooling_param { kernel_size: 3 "
        "stride: 2 pad: 1 pool: AVE }",
        "name: 'up' bottom: 'p2' top: 'up' type: 'Deconvolution' convolution_param { "
        "num_output: 4 kernel_size: 4 stride: 2 }",
        "name: 'c1' bottom: 'p1' bottom: 'up' top: 'c1' type: 'Crop' crop_param { offset: 0 }",
        "name: 'up2' bottom: 'up' top: 'up2' type: 'Deconvolution' convolution_param { "
        "num_output: 2 kernel_size: 4 stride: 2 }",
        "name: 'score' bottom: 'up2' bottom: 'x0' top: 'score' type: 'Crop' "
        "crop_param { offset: 11 }",
    ]
    layers = [layer for layer in layers if "'c1'" not in layer]
    export(tmp_path, layers, (1, 3, 16, 12), dynamic=True)
    net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST)
    net.copy_from(str(tmp_path / "net.caffemodel"))
    for height, width in ((1, 1), (5, 31), (17, 12), (23, 40)):
        x = np.random.RandomState(height).standard_normal((2, 3, height, width)).astype("f")
        net.blobs["x0"].reshape(*x.shape)
        net.blobs["x0"].data[...] = x
        right = net.forward()["score"]
        got = run(tmp_path / "net.onnx", x0=x)["score"]
        assert check.difference(right, got) < 1e-5


def test_places_are_the_batch_and_the_axes_of_images(tmp_path):
    (tmp_path / "net.prototxt").write_text(net_text([CONV], (2, 3, 8, 6)))
    net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST)
    assert sizes.places(net) == {"batch": [("x0", 0)], "height": [("x0", 2)], "width": [("x0", 3)]}
    found = sizes.probe(net, ["height"])
    assert found.refused == {} and net.blobs["x0"].data.shape == (2, 3, 8, 6)
    assert {net._graph.blob_names[b]: set(axes) for b, axes in found.free.items()} == {
        "x0": {2},
        "y0": {2},
    }
    assert sizes.second(net, found, ["height"])["x0"] == (2, 3, 7, 6)
