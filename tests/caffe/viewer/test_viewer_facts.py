"""Shapes, parameters, work, strides and fields of a built net are those of its prototxt."""

from fractions import Fraction

import pytest

import caffe
from caffe.net import Net
from caffe.prototxt import read_net
from caffe.viewer.facts import collect
from fcn import catalog
from fcn.geometry import facts as geometry

#: Their layers together are those of all experiments.
NETS = ("voc-fcn8s", "voc-fcn-googlenet", "membrane-unet", "camvid-fcn8s", "voc-fcn4s-lite0")


@pytest.mark.parametrize("name", NETS)
def test_equal_to_the_geometry_of_the_prototxt(name):
    param = read_net(catalog.net_path(name, "deploy"))
    for layer in param.layer:
        if layer.type == "Input":
            layer.input_param.shape[0].dim[2:] = [96, 128]
        layer.convolution_param.ClearField("weight_filler")  # numbers take time
        if layer.name in ("fc6", "fc7"):  # 130 million weights that would say no more
            layer.convolution_param.num_output = 64
    param.state.phase = caffe.TEST
    found = collect(param, Net.from_param(param, name))
    wanted = geometry.walk(param)
    assert [row.name for row in found] == [row.name for row in wanted]
    for row, want in zip(found, wanted):
        assert row.shapes[0] == tuple(want.blob.shape), row.name
        assert (row.parameters, row.macs) == (want.params, want.macs), row.name
        assert row.stride == (1 / want.blob.scale,) * 2, row.name
        assert row.field == (want.blob.field,) * 2, row.name


def built(text, tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text(text)
    param = read_net(path)
    param.state.phase = caffe.TEST
    return collect(param, Net.from_param(param, "net"))


INPUT = 'layer { name: "i" type: "Input" top: "a" input_param { shape { dim: [1, 2, 20, 30] } } }\n'


def test_windows_that_differ_between_the_axes(tmp_path):
    rows = built(
        INPUT + 'layer { name: "c" type: "Convolution" bottom: "a" top: "b" convolution_param '
        "{ num_output: 3 kernel_h: 3 kernel_w: 5 stride_h: 1 stride_w: 2 } }",
        tmp_path,
    )
    assert rows[1].stride == (1, 2) and rows[1].field == (3, 5)
    assert rows[1].macs == 3 * 18 * 13 * 2 * 15 and rows[1].parameters == 3 * 30 + 3


def test_what_has_no_place_in_the_image_has_no_field(tmp_path):
    rows = built(
        INPUT + 'layer { name: "r" type: "Reshape" bottom: "a" top: "b" '
        "reshape_param { shape { dim: [1, 20, 60] } } }\n"
        'layer { name: "u" type: "ReLU" bottom: "b" top: "c" }\n'
        'layer { name: "f" type: "InnerProduct" bottom: "a" top: "d" '
        "inner_product_param { num_output: 7 } }",
        tmp_path,
    )
    assert rows[0].field == (Fraction(1), Fraction(1))
    assert rows[1].field is None and rows[2].field is None and rows[2].shapes == [(1, 20, 60)]
    assert rows[3].field == (20, 30) and rows[3].macs == 7 * 1200


def test_splits_are_left_out_and_rates_told(tmp_path):
    rows = built(
        INPUT
        + "".join(
            f'layer {{ name: "{n}" type: "Convolution" bottom: "a" top: "{n}" '
            "param { lr_mult: 0 } convolution_param { num_output: 1 kernel_size: 1 } }\n"
            for n in "xy"
        ),
        tmp_path,
    )
    assert [row.name for row in rows] == ["i", "x", "y"]
    assert [p.lr_mult for p in rows[1].params] == [0, 1]
