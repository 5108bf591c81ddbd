"""SSD nets as they were published from 2016 on, as prototxts, with fewer channels on request.

VGG-SSD300 and 512 (Liu et al.), MobileNet-SSD, and the face detector that came with OpenCV
(res10_300x300_ssd): their layers, sizes, priors and settings.  ``phase`` "deploy" has an input,
"train" and "test" a database of annotated pictures, the loss, and the evaluation.
"""

from __future__ import annotations

VARIANCES = "variance: 0.1 variance: 0.1 variance: 0.2 variance: 0.2"


class Draft:
    """A prototxt that grows; ``width`` divides the numbers of channels."""

    def __init__(self, width: int = 1) -> None:
        self.text, self.width, self.last = "", width, "data"

    def layer(self, type_name, name, bottoms=None, top=None, body="") -> str:
        """Adds a layer on the last top, unless bottoms are given; returns its top."""
        bottoms = [self.last] if bottoms is None else bottoms
        words = "".join(f' bottom: "{b}"' for b in bottoms)
        self.last = top or name
        self.text += (
            f'layer {{ name: "{name}" type: "{type_name}"{words} top: "{self.last}" {body} }}\n'
        )
        return self.last

    def conv(self, name, outputs, kernel=3, pad=1, stride=1, more="", bottoms=None, exact=False):
        outputs = outputs if exact else max(outputs // self.width, 1)
        return self.layer(
            "Convolution", name, bottoms,
            body=f"""param {{ lr_mult: 1 decay_mult: 1 }} convolution_param {{
                num_output: {outputs} kernel_size: {kernel} pad: {pad} stride: {stride} {more}
                weight_filler {{ type: "xavier" }} }}""",
        )  # fmt: skip

    def relu(self, name) -> str:
        return self.layer("ReLU", name, top=self.last)

    def norm(self, name, bottoms=None, top=None) -> str:
        """BatchNorm and Scale; in place unless they have a top of their own."""
        frozen = "param { lr_mult: 0 } " * 3
        self.layer("BatchNorm", name, bottoms, top or (bottoms or [self.last])[0], frozen)
        return self.layer(
            "Scale", name + "_scale", top=self.last, body="scale_param { bias_term: true }"
        )

    def pool(self, name, kernel=2, stride=2, pad=0) -> str:
        return self.layer(
            "Pooling", name,
            body=f"pooling_param {{ kernel_size: {kernel} stride: {stride} pad: {pad} }}",
        )  # fmt: skip

    def heads(self, sources, classes, kernel=3) -> None:
        """Offsets, scores and priors of each source, and all of them together.

        A source: its blob, min_size, max_size or None, aspect ratios, step or None.
        """
        parts = {"loc": [], "conf": [], "priorbox": []}
        for blob, low, high, ratios, step in sources:
            each = (1 + 2 * len(ratios)) + (high is not None)
            for part, outputs in (("loc", 4 * each), ("conf", classes * each)):
                name = f"{blob}_mbox_{part}"
                self.conv(name, outputs, kernel, kernel // 2, bottoms=[blob], exact=True)
                order = "order: 0 order: 2 order: 3 order: 1"
                self.layer("Permute", name + "_perm", body=f"permute_param {{ {order} }}")
                top = self.layer("Flatten", name + "_flat", body="flatten_param { axis: 1 }")
                parts[part].append(top)
            words = "".join(f"aspect_ratio: {r} " for r in ratios)
            words += f"max_size: {high} " if high is not None else ""
            words += f"step: {step} " if step is not None else ""
            top = self.layer(
                "PriorBox", blob + "_mbox_priorbox", [blob, "data"],
                body=f"""prior_box_param {{ min_size: {low} {words} flip: true clip: false
                    {VARIANCES} offset: 0.5 }}""",
            )  # fmt: skip
            parts["priorbox"].append(top)
        for part, axis in (("loc", 1), ("conf", 1), ("priorbox", 2)):
            body = f"concat_param {{ axis: {axis} }}"
            self.layer("Concat", "mbox_" + part, parts[part], body=body)

    def loss(self, classes) -> None:
        self.layer(
            "MultiBoxLoss", "mbox_loss", ["mbox_loc", "mbox_conf", "mbox_priorbox", "label"],
            body=f"""include {{ phase: TRAIN }} propagate_down: true propagate_down: true
                propagate_down: false propagate_down: false loss_param {{ normalization: VALID }}
                multibox_loss_param {{ loc_loss_type: SMOOTH_L1 conf_loss_type: SOFTMAX
                loc_weight: 1.0 num_classes: {classes} share_location: true
                match_type: PER_PREDICTION overlap_threshold: 0.5 use_prior_for_matching: true
                background_label_id: 0 use_difficult_gt: true neg_pos_ratio: 3.0 neg_overlap: 0.5
                code_type: CENTER_SIZE ignore_cross_boundary_bbox: false
                mining_type: MAX_NEGATIVE }}""",
        )  # fmt: skip

    def detections(self, classes, threshold, more="", top_k=400, keep=200) -> None:
        shape = f"reshape_param {{ shape {{ dim: 0 dim: -1 dim: {classes} }} }}"
        self.layer("Reshape", "mbox_conf_reshape", ["mbox_conf"], body=shape)
        self.layer("Softmax", "mbox_conf_softmax", body="softmax_param { axis: 2 }")
        self.layer("Flatten", "mbox_conf_flatten", body="flatten_param { axis: 1 }")
        self.layer(
            "DetectionOutput", "detection_out", ["mbox_loc", self.last, "mbox_priorbox"],
            body=f"""include {{ phase: TEST }} detection_output_param {{ num_classes: {classes}
                share_location: true background_label_id: 0
                nms_param {{ nms_threshold: 0.45 top_k: {top_k} }} code_type: CENTER_SIZE
                keep_top_k: {keep} confidence_threshold: {threshold} {more} }}""",
        )  # fmt: skip

    def evaluation(self, classes) -> None:
        self.layer(
            "DetectionEvaluate", "detection_eval", ["detection_out", "label"],
            body=f"""include {{ phase: TEST }} detection_evaluate_param {{ num_classes: {classes}
                background_label_id: 0 overlap_threshold: 0.5 evaluate_difficult_gt: false }}""",
        )  # fmt: skip

    def finish(self, phase, classes, threshold, **more) -> str:
        if phase == "train":
            self.loss(classes)
        else:
            self.detections(classes, threshold, **more)
        if phase == "test":
            self.evaluation(classes)
        return self.text


def _data(draft, phase, size, database, batch=2) -> None:
    if phase == "deploy":
        draft.text += f'input: "data"\ninput_shape {{ dim: 1 dim: 3 dim: {size} dim: {size} }}\n'
        return
    of_train = """emit_constraint { emit_type: CENTER }
        distort_param { brightness_prob: 0.5 brightness_delta: 32 contrast_prob: 0.5
          contrast_lower: 0.5 contrast_upper: 1.5 hue_prob: 0.5 hue_delta: 18 saturation_prob: 0.5
          saturation_lower: 0.5 saturation_upper: 1.5 random_order_prob: 0 }
        expand_param { prob: 0.5 max_expand_ratio: 4.0 }"""
    samplers = "".join(
        f"""batch_sampler {{ sampler {{ min_scale: 0.3 max_scale: 1 min_aspect_ratio: 0.5
          max_aspect_ratio: 2 }} sample_constraint {{ {constraint} }} max_sample: 1
          max_trials: 50 }}"""
        for constraint in ("min_jaccard_overlap: 0.1", "min_jaccard_overlap: 0.7",
                           "max_jaccard_overlap: 1.0")
    )  # fmt: skip
    train = phase == "train"
    modes = " ".join(
        f"interp_mode: {m}"
        for m in (["LINEAR", "AREA", "NEAREST", "CUBIC", "LANCZOS4"] if train else ["LINEAR"])
    )
    draft.text += f"""layer {{ name: "data" type: "AnnotatedData" top: "data" top: "label"
        include {{ phase: {phase.upper()} }}
        transform_param {{ mirror: {"true" if train else "false"}
          mean_value: 104 mean_value: 117 mean_value: 123
          resize_param {{ prob: 1 resize_mode: WARP height: {size} width: {size} {modes} }}
          {of_train if train else ""} }}
        data_param {{ source: "{database}" batch_size: {batch} backend: LMDB }}
        annotated_data_param {{
          batch_sampler {{ max_sample: 1 max_trials: 1 }} {samplers if train else ""}
          label_map_file: "labelmap_voc.prototxt" }} }}\n"""


def vgg_ssd(phase="deploy", size=300, classes=21, width=1, database="") -> str:
    """SSD300 or SSD512 on VGG-16 without its last layers."""
    d = Draft(width)
    _data(d, phase, size, database)
    for stage, (count, outputs) in enumerate([(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)], 1):
        for i in range(1, count + 1):
            d.conv(f"conv{stage}_{i}", outputs)
            d.relu(f"relu{stage}_{i}")
        if stage < 5:
            d.pool(f"pool{stage}")
    d.pool("pool5", 3, 1, 1)
    d.conv("fc6", 1024, pad=6, more="dilation: 6")
    d.relu("relu6")
    d.conv("fc7", 1024, 1, 0)
    d.relu("relu7")
    extra = [(256, 512, 3, 1, 2), (128, 256, 3, 1, 2)]
    if size == 300:
        extra += [(128, 256, 3, 0, 1)] * 2
    else:
        extra += [(128, 256, 3, 1, 2)] * 2 + [(128, 256, 4, 1, 1)]
    for i, (inner, outputs, kernel, pad, stride) in enumerate(extra, 6):
        d.conv(f"conv{i}_1", inner, 1, 0)
        d.relu(f"conv{i}_1_relu")
        d.conv(f"conv{i}_2", outputs, kernel, pad, stride)
        d.relu(f"conv{i}_2_relu")
    d.layer(
        "Normalize", "conv4_3_norm", ["conv4_3"],
        body="""norm_param { across_spatial: false channel_shared: false
            scale_filler { type: "constant" value: 20 } }""",
    )  # fmt: skip
    names = ["conv4_3_norm", "fc7", *(f"conv{i}_2" for i in range(6, 6 + len(extra)))]
    if size == 300:
        bounds = [30, 60, 111, 162, 213, 264, 315]
        steps = [8, 16, 32, 64, 100, 300]
        ratios = [[2], [2, 3], [2, 3], [2, 3], [2], [2]]
    else:
        bounds = [20.48, 51.2, 133.12, 215.04, 296.96, 378.88, 460.8, 542.72]
        steps = [8, 16, 32, 64, 128, 256, 512]
        ratios = [[2], [2, 3], [2, 3], [2, 3], [2, 3], [2], [2]]
    d.heads(list(zip(names, bounds, bounds[1:], ratios, steps)), classes)
    return d.finish(phase, classes, 0.01)


def mobilenet_ssd(phase="deploy", classes=21, width=1, database="") -> str:
    """MobileNet-SSD with the normalisation in its convolutions."""
    d = Draft(width)
    _data(d, phase, 300, database)

    def unit(name, outputs, kernel=1, pad=0, stride=1):
        d.conv(name, outputs, kernel, pad, stride)
        d.relu(name + "/relu")

    unit("conv0", 32, 3, 1, 2)
    inputs = 32
    sizes = [64, 128, 128, 256, 256, *[512] * 6, 1024, 1024]
    for i, outputs in enumerate(sizes, 1):
        stride = 2 if i in (2, 4, 6, 12) else 1
        group = max(inputs // width, 1)
        d.conv(f"conv{i}/dw", inputs, stride=stride, more=f"group: {group} engine: CAFFE")
        d.relu(f"conv{i}/dw/relu")
        unit(f"conv{i}", outputs)
        inputs = outputs
    for i, (inner, outputs) in enumerate([(256, 512), (128, 256), (128, 256), (64, 128)], 14):
        unit(f"conv{i}_1", inner)
        unit(f"conv{i}_2", outputs, 3, 1, 2)
    names = ["conv11", "conv13", *(f"conv{i}_2" for i in (14, 15, 16, 17))]
    low = [60, 105, 150, 195, 240, 285]
    high = [None, 150, 195, 240, 285, 300]
    d.heads([(n, a, b, [2] if b is None else [2, 3], None) for n, a, b in zip(names, low, high)],
            classes, kernel=1)  # fmt: skip
    return d.finish(phase, classes, 0.25, top_k=100, keep=100)


def face_ssd(width=1) -> str:
    """OpenCV's face detector: a residual net with its normalisation before its convolutions."""
    d = Draft(width)
    _data(d, "deploy", 300, "")
    d.norm("data_bn", ["data"], "data_bn")
    d.conv("conv1_h", 32, 7, 3, 2)
    d.norm("conv1_bn_h")
    d.relu("conv1_relu")
    before = d.pool("conv1_pool", 3, 2)

    def block(name, inner, outputs, stride, dilation=1, expand=True):
        nonlocal before
        if expand:
            before = d.norm(name + "_bn1", [before], name + "_bn1")
            d.relu(name + "_relu1")
        d.conv(name + "_conv1", inner, stride=stride, more="bias_term: false")
        d.norm(name + "_bn2")
        d.relu(name + "_relu2")
        more = f"bias_term: false dilation: {dilation}"
        branch = d.conv(name + "_conv2", outputs, pad=dilation, more=more)
        if expand:
            more = "bias_term: false"
            before = d.conv(name + "_expand", outputs, 1, 0, stride, more, [before])
        before = d.layer("Eltwise", name + "_sum", [branch, before])

    block("layer_64_1", 32, 32, 1, expand=False)
    block("layer_128_1", 128, 128, 2)
    block("layer_256_1", 256, 256, 2)
    block("layer_512_1", 128, 256, 1, dilation=2)
    d.norm("last_bn_h")
    d.layer("ReLU", "last_relu", top="fc7")
    for i, (inner, outputs, stride) in enumerate([(128, 256, 2), (64, 128, 2), (64, 128, 1),
                                                  (64, 128, 1)], 6):  # fmt: skip
        d.conv(f"conv{i}_1_h", inner, 1, 0)
        d.relu(f"conv{i}_1_relu")
        d.conv(f"conv{i}_2_h", outputs, stride=stride)
        d.relu(f"conv{i}_2_relu")
    d.layer(
        "Normalize", "conv4_3_norm", ["layer_256_1_bn1"],
        body="""norm_param { across_spatial: false channel_shared: false
            scale_filler { type: "constant" value: 20 } }""",
    )  # fmt: skip
    names = ["conv4_3_norm", "fc7", *(f"conv{i}_2_h" for i in range(6, 10))]
    bounds = [30, 60, 111, 162, 213, 264, 315]
    ratios = [[2], [2, 3], [2, 3], [2, 3], [2], [2]]
    d.heads(list(zip(names, bounds, bounds[1:], ratios, [8, 16, 32, 64, 100, 300])), 2)
    return d.finish("deploy", 2, 0.2, more="clip: 1")
