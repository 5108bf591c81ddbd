"""Layers that resize maps: ONNX Runtime against the engine on random parameters."""

from exporting import FREE, IMAGE, each, prove

CASES = {
    "Interp": [
        ("interp_param { height: 17 width: 5 }", [IMAGE], ("batch",)),
        ("interp_param { zoom_factor: 3 }", [IMAGE], FREE),
        ("interp_param { shrink_factor: 2 }", [IMAGE], FREE),
        ("interp_param { shrink_factor: 2 zoom_factor: 3 pad_beg: -1 pad_end: -2 }", [IMAGE], FREE),
    ],
    "Resize": [
        ("resize_param { height: 5 width: 12 }", [IMAGE], ("batch",)),
        (
            "resize_param { is_pyramid_test: true out_height_scale: 1.5 out_width_scale: 0.6 }",
            [IMAGE],
            ("batch",),
        ),
    ],
    "Unpooling": [
        (
            f"unpooling_param {{ unpool: {method} kernel_size: 3 stride: {stride} {size} }}",
            [IMAGE],
            ("batch",),
        )
        for method in ("MAX", "AVE", "TILE")
        for stride, size in ((2, ""), (2, "unpool_size: 16"), (3, "unpool_h: 31 unpool_w: 18"))
    ],
    "Upsample": [
        ("upsample_param { scale: 2 }", [IMAGE], FREE),
        ("upsample_param { scale_h: 1 scale_w: 3 }", [IMAGE], FREE),
    ],
}


@each(CASES)
def test_a_layer(tmp_path, kind, text, shapes, free):
    prove(tmp_path, kind, text, shapes, free)
