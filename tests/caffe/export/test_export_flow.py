"""FlowNet's layers: ONNX Runtime against the engine on random parameters."""

from exporting import FREE, IMAGE, each, prove

CASES = {
    "Accum": [
        ("accum_param { have_reference: true }", [(2, 2, 3, 4), IMAGE, (2, 1, 8, 9)], FREE),
        ("accum_param { size_divisible_by: 8 }", [(2, 2, 3, 4), IMAGE], ("batch",)),
        ("", [IMAGE, (2, 2, 3, 4)], ("batch",)),
    ],
    "ChannelNorm": [("", [IMAGE], FREE)],
    "DataAugmentation": [
        ("augmentation_param { recompute_mean: 9 mean_per_pixel: false }", [IMAGE], FREE),
        ("augmentation_param { recompute_mean: 9 }", [IMAGE], ("batch",)),
        (
            "augmentation_param { mean: 1 mean: 2 mean: 3 mean_per_pixel: false }",
            [(2, 3, 5, 6)],
            FREE,
        ),
        ("", [IMAGE], FREE),
    ],
    "Correlation": [
        (
            "correlation_param { kernel_size: 1 max_displacement: 4 pad: 4 stride_2: 2 }",
            [IMAGE, IMAGE],
            ("batch",),
        ),
        (
            "correlation_param { kernel_size: 3 max_displacement: 2 pad: 3 stride_1: 2 "
            "correlation_type: SUBTRACT }",
            [IMAGE, IMAGE],
            ("batch",),
        ),
        ("correlation_param { kernel_size: 3 max_displacement: 1 }", [IMAGE, IMAGE], ("batch",)),
    ],
    "Correlation1D": [
        (
            "correlation_param { kernel_size: 1 max_displacement: 3 pad: 3 single_direction: -1 }",
            [IMAGE, IMAGE],
            ("batch",),
        ),
        (
            "correlation_param { kernel_size: 3 max_displacement: 2 pad: 2 stride_1: 2 }",
            [IMAGE, IMAGE],
            ("batch",),
        ),
    ],
    "Downsample": [
        ("downsample_param { top_height: 4 top_width: 3 }", [IMAGE], ("batch",)),
        ("downsample_param { top_height: 9 top_width: 7 }", [IMAGE], ("batch",)),
        ("", [IMAGE, (2, 6, 3, 5)], ("batch",)),
    ],
    "FlowWarp": [
        ("", [IMAGE, (2, 2, 9, 7)], FREE),
        ("flow_warp_param { fill_value: NOT_A_NUMBER }", [IMAGE, (2, 2, 9, 7)], ("batch",)),
    ],
    "Resample": [
        ("resample_param { height: 18 width: 14 }", [IMAGE], ("batch",)),
        ("resample_param { height: 4 width: 3 type: CUBIC }", [IMAGE], ("batch",)),
        ("resample_param { height: 5 width: 9 type: NEAREST }", [IMAGE], ("batch",)),
        ("resample_param { type: CUBIC }", [IMAGE, (2, 6, 3, 5)], ("batch",)),
    ],
    "SpatialTransformer": [
        ("st_param { output_H: 5 output_W: 4 }", [IMAGE, (2, 6)], ("batch",)),
        (
            "st_param { theta_1_1: 0.5 theta_1_2: 0 theta_2_1: 0 theta_2_2: 0.7 }",
            [IMAGE, (2, 2)],
            ("batch",),
        ),
    ],
}


@each(CASES)
def test_a_layer(tmp_path, kind, text, shapes, free):
    prove(tmp_path, kind, text, shapes, free)
