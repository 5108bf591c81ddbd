"""Convolution, Deconvolution, Im2col, InnerProduct: ONNX Runtime against the engine."""

from exporting import FREE, IMAGE, each, prove

CASES = {
    "Convolution": [
        ("convolution_param { num_output: 4 kernel_size: 3 }", [IMAGE], FREE),
        (
            "convolution_param { num_output: 4 kernel_size: 3 pad: 2 stride: 2 dilation: 2 "
            "bias_term: false }",
            [IMAGE],
            FREE,
        ),
        (
            "convolution_param { num_output: 9 kernel_h: 1 kernel_w: 5 pad_h: 1 pad_w: 0 "
            "stride_h: 3 stride_w: 1 group: 3 }",
            [IMAGE],
            FREE,
        ),
        ("convolution_param { num_output: 4 kernel_size: 1 pad: 1 stride: 2 }", [IMAGE], FREE),
        ("convolution_param { num_output: 4 kernel_size: 3 axis: 2 }", [(2, 3, 5, 8)], ()),
        (
            "convolution_param { num_output: 4 kernel_size: 3 axis: 2 }",
            [(2, 3, 5, 8, 6)],
            ("batch",),
        ),
        ("convolution_param { num_output: 4 kernel_size: 2 }", [(2, 3, 4, 5, 6)], ("batch",)),
        ("convolution_param { num_output: 4 kernel_size: 3 pad: 1 }", [(2, 3, 9)], ("batch",)),
        ("convolution_param { num_output: 4 }", [(5, 3)], ("batch",)),
        ("convolution_param { num_output: 4 kernel_size: 4 stride: 2 }", [(1, 2, 3, 3)], ()),
        (
            "top: 'a' top: 'b' convolution_param { num_output: 4 kernel_size: 3 }",
            [IMAGE, IMAGE],
            FREE,
        ),
    ],
    "ConvolutionDepthwise": [("convolution_param { kernel_size: 3 pad: 1 }", [IMAGE], FREE)],
    "Deconvolution": [
        ("convolution_param { num_output: 4 kernel_size: 4 stride: 2 pad: 1 }", [IMAGE], FREE),
        (
            "convolution_param { num_output: 6 kernel_size: 4 stride: 2 group: 6 "
            "bias_term: false }",
            [IMAGE],
            FREE,
        ),
        (
            "convolution_param { num_output: 9 kernel_h: 2 kernel_w: 3 dilation: 2 group: 3 }",
            [IMAGE],
            FREE,
        ),
        (
            "convolution_param { num_output: 4 kernel_size: 3 stride: 2 axis: 2 }",
            [(2, 3, 5, 8)],
            (),
        ),
        (
            "convolution_param { num_output: 4 kernel_size: 2 stride: 3 }",
            [(2, 3, 4, 5, 6)],
            ("batch",),
        ),
    ],
    "DepthwiseConvolution": [
        ("convolution_param { num_output: 12 kernel_size: 3 stride: 2 }", [IMAGE], FREE)
    ],
    "Im2col": [
        ("convolution_param { kernel_size: 3 pad: 1 stride: 2 }", [IMAGE], FREE),
        ("convolution_param { kernel_h: 2 kernel_w: 1 dilation: 2 }", [IMAGE], FREE),
    ],
    "InnerProduct": [
        ("inner_product_param { num_output: 5 }", [IMAGE], ("batch",)),
        (
            "inner_product_param { num_output: 5 transpose: true bias_term: false }",
            [(3, 7)],
            ("batch",),
        ),
        ("inner_product_param { num_output: 5 axis: 2 }", [(2, 3, 4)], ("batch",)),
        ("inner_product_param { num_output: 5 axis: -1 }", [IMAGE], FREE[:2]),
        ("inner_product_param { num_output: 5 axis: 0 }", [(4, 3)], ()),
    ],
    "Local": [
        ("local_param { num_output: 3 kernel_size: 3 stride: 2 pad: 1 }", [IMAGE], ("batch",)),
        ("local_param { num_output: 3 kernel_size: 2 bias_term: false }", [IMAGE], ("batch",)),
    ],
}


@each(CASES)
def test_a_layer(tmp_path, kind, text, shapes, free):
    prove(tmp_path, kind, text, shapes, free)
