"""Layers that move numbers without computing with them: ONNX Runtime against the engine."""

from exporting import FREE, IMAGE, each, prove

CASES = {
    "BatchReduction": [
        (
            "batch_reduction_param { level: 1 level: 2 reduction_param { axis: 1 operation: MEAN } "
            "}",
            [(3, 5, 2)],
            ("batch",),
        ),
        ("batch_reduction_param { reduction_param { axis: 1 operation: SUM } }", [IMAGE], FREE),
    ],
    "Concat": [
        ("", [IMAGE, (2, 3, 9, 7)], FREE),
        ("concat_param { axis: 2 }", [IMAGE, (2, 6, 1, 7)], ("batch", "width")),
        ("concat_param { concat_dim: 0 }", [IMAGE, IMAGE, IMAGE], FREE),
        ("", [IMAGE], FREE),
    ],
    "ContinuationIndicator": [
        ("continuation_indicator_param { time_step: 3 batch_size: 2 }", [], ())
    ],
    "Crop": [
        ("", [IMAGE, (2, 6, 5, 4)], ("batch",)),
        ("crop_param { offset: 1 offset: 2 }", [IMAGE, (2, 6, 5, 4)], ("batch",)),
        ("crop_param { axis: 1 offset: 1 }", [IMAGE, (2, 3, 8, 6)], ("batch",)),
    ],
    "CropCenter": [
        ("crop_center_param { crop_size: 0 crop_size: 1 crop_size: 2 crop_size: 1 }", [IMAGE], FREE)
    ],
    "Flatten": [
        ("", [IMAGE], FREE),
        ("flatten_param { axis: 2 }", [IMAGE], FREE),
        ("flatten_param { axis: 0 end_axis: 1 }", [IMAGE], FREE),
        ("flatten_param { axis: 1 end_axis: -2 }", [IMAGE], FREE),
    ],
    "Transpose": [("transpose_param { dim: 3 dim: 2 dim: 0 dim: 1 }", [IMAGE], FREE)],
    "Parameter": [("parameter_param { shape { dim: 2 dim: 3 } }", [], ())],
    "Permute": [("permute_param { order: 0 order: 2 order: 3 }", [IMAGE], FREE)],
    "Reorg": [
        ("reorg_param { stride: 2 }", [(2, 8, 6, 4)], FREE),
        ("reorg_param { stride: 2 reverse: true }", [(2, 8, 3, 5)], FREE),
    ],
    "Reverse": [("reverse_param { axis: 2 }", [IMAGE], FREE)],
    "Reduction": [
        (f"reduction_param {{ operation: {op} axis: {axis} coeff: {coeff} }}", [IMAGE], FREE)
        for op, axis, coeff in (
            ("SUM", 0, 1),
            ("ASUM", 1, 0.5),
            ("SUMSQ", 2, 2),
            ("MEAN", -1, 1),
            ("MEAN", 0, 3),
        )
    ],
    "Reshape": [
        ("reshape_param { shape { dim: 0 dim: -1 } }", [IMAGE], FREE),
        ("reshape_param { shape { dim: 0 dim: 3 dim: -1 dim: 7 } }", [IMAGE], FREE[:2]),
        ("reshape_param { axis: 1 num_axes: 1 shape { dim: 2 dim: 3 } }", [IMAGE], FREE),
        ("reshape_param { axis: -1 shape { dim: 1 } }", [IMAGE], FREE),
        ("reshape_param { axis: 1 num_axes: 0 shape { dim: 1 } }", [IMAGE], FREE),
        ("reshape_param { axis: 2 shape { dim: -1 } }", [IMAGE], FREE),
    ],
    "ShuffleChannel": [("shuffle_channel_param { group: 3 }", [IMAGE], FREE)],
    "Slice": [
        ("top: 'a' top: 'b' top: 'c'", [IMAGE], FREE),
        ("top: 'a' top: 'b' slice_param { axis: 2 slice_point: 4 }", [IMAGE], FREE),
        ("top: 'a' top: 'b' slice_param { axis: 0 }", [IMAGE], FREE[1:]),
        ("slice_param { slice_dim: 1 }", [IMAGE], FREE),
    ],
    "Split": [("top: 'a' top: 'b'", [IMAGE], FREE)],
    "Tile": [
        ("tile_param { tiles: 3 }", [IMAGE], FREE),
        ("tile_param { axis: 0 tiles: 2 }", [IMAGE], FREE),
    ],
}


@each(CASES)
def test_a_layer(tmp_path, kind, text, shapes, free):
    prove(tmp_path, kind, text, shapes, free)
