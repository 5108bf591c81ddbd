"""Fields of forks in messages that BVLC has, which change what is computed and so stay errors.

They cannot be left out silently; the message names the fork and what comes near.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["CHANGES", "Row", "origin_of"]


class Row(NamedTuple):
    """Fields of one fork in one message; instead: what to write or use in their place."""

    message: str
    fork: str
    names: tuple[str, ...]
    instead: str


_NVIDIA = "NVIDIA Caffe"
_INTEL = "Intel Caffe"
_TAKE_OUT = "take it out only where the task allows"
_AUGMENT = "pictures can be augmented when the database is made"
_LABELS = "HDF5Data reads several labels an item"
_DEPTH = "give kernel_size, stride and pad once for each axis: depth, height, width"

CHANGES = (
    Row(
        "TransformationParameter",
        "PSPNet's fork",
        ("gaussian_blur", "label_offset", "label_scalefactor", "rand_aspect_ratio", "rand_resize")
        + ("rand_rotate", "rotate90n", "interpolation"),
        _AUGMENT,
    ),
    Row(
        "TransformationParameter",
        _NVIDIA,
        ("img_rand_resize_lower", "img_rand_resize_upper", "rand_resize_ratio_lower")
        + ("rand_resize_ratio_upper", "vertical_stretch_lower", "vertical_stretch_upper")
        + ("horizontal_stretch_lower", "horizontal_stretch_upper", "interpolation_algo_up")
        + ("interpolation_algo_down", "allow_upscale", "display", "num_labels"),
        _AUGMENT,
    ),
    Row(
        "TransformationParameter",
        "the temporal segment networks",
        ("multi_scale", "fix_crop", "more_fix_crop", "max_distort", "scale_ratios", "is_flow")
        + ("stack_size", "stretch", "torgb"),
        _AUGMENT,
    ),
    Row(
        "TransformationParameter",
        _INTEL,
        ("random_resize_param", "random_aspect_ratio_param"),
        _AUGMENT,
    ),
    Row(
        "TransformationParameter",
        "forks that augment pictures as they read them",
        ("max_rotation_angle", "contrast_adjustment", "smooth_filtering", "jpeg_compression")
        + ("apply_probability", "debug_params", "contrast_delta", "brightness_delta")
        + ("saturation_delta", "hue_delta", "color_distort", "min_side", "max_side")
        + ("min_side_min", "min_side_max", "short_side", "min_size", "max_size")
        + ("max_color_shift", "min_contrast", "max_contrast", "max_brightness_shift")
        + ("max_smooth", "max_blur", "rotate", "max_shear_ratio", "max_aspect_ratio")
        + ("rotation_angle_interval", "multi_crop", "yolo_height", "yolo_width"),
        _AUGMENT,
    ),
    Row(
        "TransformationParameter",
        "forks that divide by a deviation",
        ("std_value", "stdev_value", "std"),
        "scale divides all channels alike; a Scale layer with lr_mult 0 divides each",
    ),
    Row(
        "BatchNormParameter",
        _NVIDIA,
        ("scale_bias", "scale_filler", "bias_filler"),
        "write a Scale layer with bias_term: true after the BatchNorm",
    ),
    Row(
        "BatchNormParameter",
        "forks that change what BatchNorm learns",
        ("momentum", "update_global_stats", "max_updates", "disable_mean", "disable_variance")
        + ("use_weight_bias",),
        _TAKE_OUT,
    ),
    Row(
        "ConvolutionParameter",
        "forks for videos (C3D, OpenVINO's networks)",
        ("kernel_depth", "stride_depth", "temporal_pad", "temporal_stride", "pad_depth"),
        _DEPTH,
    ),
    Row(
        "PoolingParameter",
        "forks for videos (C3D)",
        ("kernel_depth", "stride_depth", "temporal_pad", "temporal_stride", "pad_depth"),
        "BVLC pools two axes; Reshape the depth into the channels, or pool it by Reduction",
    ),
    Row(
        "ConvolutionParameter",
        _INTEL,
        ("relu", "negative_slope", "fusion_type"),
        "write a ReLU layer after the convolution",
    ),
    Row("ConvolutionParameter", "STCT", ("mask",), _TAKE_OUT),
    Row(
        "SoftmaxParameter",
        "forks that weight one class",
        ("pos_mult", "pos_cid"),
        "loss_param { class_weighting: … } takes a number for each class",
    ),
    Row("PoolingParameter", _INTEL, ("avg_include_pad",), _TAKE_OUT),
    Row(
        "PoolingParameter",
        "forks that pad as TensorFlow or Torch",
        ("pad_type", "same", "pad_mode"),
        "write pad (pad_h, pad_w) and round_mode as numbers",
    ),
    Row(
        "ConvolutionParameter",
        "forks that pad as TensorFlow",
        ("pad_type", "pad_mode", "same", "output_pad"),
        "write pad (pad_h, pad_w) as a number",
    ),
    Row(
        "EltwiseParameter",
        "SENet's and other forks",
        ("coeff_blob",),
        "Axpy computes a x + y with a factor for each channel",
    ),
    Row(
        "FillerParameter",
        "forks with fillers of their own",
        ("diag_val", "file", "num_groups", "fill_value"),
        "set the parameter from Python after the net is built, or give it by weights",
    ),
    Row(
        "ReLUParameter",
        "forks that cut off above",
        ("max_value", "relu6"),
        'type: "ReLU6" cuts off at 6, Clip anywhere',
    ),
    Row(
        "ImageDataParameter",
        "forks that read several labels",
        ("label_size", "labels", "label_dim", "data_dim", "top_size", "label_num"),
        _LABELS,
    ),
    Row("DataParameter", "forks that read several labels", ("label_source", "side"), _LABELS),
    Row(
        "DataParameter",
        "forks that shuffle databases",
        ("shuffle", "rand_permute", "rand_permute_seed", "range_start", "range_end"),
        "convert_imageset -shuffle writes the records in a random order",
    ),
    Row(
        "ReshapeParameter",
        "a form that Reshape had before BVLC took it",
        ("num", "channels", "height", "width", "dim"),
        "write shape { dim: … }, one dim an axis",
    ),
    Row(
        "CropParameter",
        "forks that crop by name of axis",
        ("offset_height", "offset_width"),
        "write axis: 2 offset: HEIGHT offset: WIDTH",
    ),
    Row(
        "LossParameter",
        "forks that weight classes or mine examples",
        ("class_weight", "hard_ratio", "hard_mining_label", "class_weights", "cutting_point"),
        "class_weighting takes a number for each class",
    ),
    Row(
        "InnerProductParameter",
        "forks for face recognition",
        ("normalize", "regularize_feature"),
        "a Normalize layer before the InnerProduct scales the features",
    ),
    Row(
        "SolverParameter",
        _NVIDIA,
        ("local_lr_auto", "local_gw_ratio", "larc", "larc_policy", "larc_turbo")
        + ("momentum_policy", "momentum_power", "max_momentum", "weight_decay_policy")
        + ("weight_decay_power",),
        _TAKE_OUT,
    ),
    Row("SolverParameter", "a fork for adversarial nets", ("gan_solver",), _TAKE_OUT),
    Row("SolverParameter", "a fork that stops early", ("early_stop_param",), _TAKE_OUT),
)


def origin_of(name: str, message: str) -> str:
    """A sentence that names the fork of a field in a message, empty where none is known."""
    for row in CHANGES:
        if row.message == message and name in row.names:
            return (
                f" It is a field of {row.fork}, not of BVLC Caffe, and changes what is computed: "
                f"it is not implemented here. Instead: {row.instead}."
            )
    return ""
