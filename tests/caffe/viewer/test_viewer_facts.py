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


def test_what_does_not_lie_as_pixels_do_has_no_stride(tmp_path):
    rows = built(
        INPUT + 'layer { name: "r" type: "Reshape" bottom: "a" top: "b" '
        "reshape_param { shape { dim: [1, 20, 60] } } }\n"
        'layer { name: "u" type: "ReLU" bottom: "b" top: "c" }\n'
        'layer { name: "f" type: "InnerProduct" bottom: "a" top: "d" '
        "inner_product_param { num_output: 7 } }",
        tmp_path,
    )
    assert rows[0].field == (Fraction(1), Fraction(1))
    assert rows[1].stride is None and rows[2].stride is None and rows[2].shapes == [(1, 20, 60)]
    assert rows[2].field == (1, 1), "a value is that of one pixel, wherever it is put"
    assert rows[3].field == (20, 30) and rows[3].macs == 7 * 1200


def conv(name, bottom, more="kernel_size: 3 pad: 1", kind="Convolution"):
    return (
        f'layer {{ name: "{name}" type: "{kind}" bottom: "{bottom}" top: "{name}" '
        f"convolution_param {{ num_output: 4 {more} }} }}\n"
    )


def test_fields_behind_layers_that_resize(tmp_path):
    """SegNet's unpooling has the fields of its bottom and of its mask, DeepLab's and PSPNet's
    interpolation sees two values, YOLO's upsampling one."""
    rows = built(
        INPUT
        + """layer { name: "pool" type: "Pooling" bottom: "a" top: "pool" top: "mask"
               pooling_param { kernel_size: 2 stride: 2 } }
        """
        + conv("c", "pool").replace("num_output: 4", "num_output: 2")
        + """layer { name: "up" type: "Upsample" bottom: "c" bottom: "mask" top: "up"
               upsample_param { scale: 2 } }
             layer { name: "near" type: "Upsample" bottom: "c" top: "near"
               upsample_param { scale: 4 } }
             layer { name: "zoom" type: "Interp" bottom: "c" top: "zoom"
               interp_param { zoom_factor: 2 } }
             layer { name: "same" type: "Interp" bottom: "c" top: "same"
               interp_param { zoom_factor: 1 } }
             layer { name: "size" type: "Resize" bottom: "c" top: "size"
               resize_param { height: 30 width: 120 } }
        """,
        tmp_path,
    )
    found = {row.name: (row.stride, row.field) for row in rows}
    assert found["c"] == ((2, 2), (6, 6))
    assert found["up"] == ((1, 1), (6, 6))
    assert found["near"] == ((Fraction(1, 2),) * 2, (6, 6))
    assert found["zoom"] == ((1, 1), (8, 8))
    assert found["same"] == ((2, 2), (6, 6))
    assert found["size"][0] == (Fraction(2 * rows[2].shapes[0][2], 30),
                                Fraction(2 * rows[2].shapes[0][3], 120))  # fmt: skip


def test_values_that_have_left_their_rows_and_columns_have_a_field(tmp_path):
    """SSD's heads: a map is permuted, flattened and joined with those of other strides."""
    move = """layer { name: "p%s" type: "Permute" bottom: "%s" top: "p%s"
                permute_param { order: 0 order: 2 order: 3 order: 1 } }
              layer { name: "f%s" type: "Flatten" bottom: "p%s" top: "f%s" }"""
    rows = built(
        INPUT
        + conv("c1", "a")
        + conv("c2", "c1", "kernel_size: 3 stride: 2")
        + move % (("1", "c1") + ("1",) * 4)
        + move % (("2", "c2") + ("2",) * 4)
        + """layer { name: "all" type: "Concat" bottom: "f1" bottom: "f2" top: "all" }
             layer { name: "soft" type: "Softmax" bottom: "all" top: "soft" }
             layer { name: "t" type: "Permute" bottom: "c2" top: "t"
               permute_param { order: 1 order: 0 } }""",
        tmp_path,
    )
    found = {row.name: (row.stride, row.field) for row in rows}
    assert found["p1"] == found["f1"] == (None, (3, 3)) and found["f2"] == (None, (5, 5))
    assert found["all"] == (None, (5, 5)), "the largest of its parts"
    assert found["soft"] == (None, None), "it depends on all of them"
    assert found["t"] == ((2, 2), (5, 5)), "rows and columns are where they were"


def test_depthwise_convolutions_are_windows(tmp_path):
    window = "kernel_size: 3 stride: 2"
    rows = built(
        INPUT + conv("d", "a", window, "ConvolutionDepthwise") + conv("c", "a", window), tmp_path
    )
    depthwise, dense = rows[1], rows[2]
    assert (depthwise.stride, depthwise.field) == (dense.stride, dense.field) == ((2, 2), (3, 3))
    assert depthwise.macs * rows[0].shapes[0][1] == dense.macs


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
