"""Foreign fields: what old forks of Caffe wrote into prototxts, translated with a warning each.

Unknown fields are errors, as in BVLC Caffe.  The fields of :data:`FIELDS` are the exception: they
are in published files, their meaning is known, and BVLC's own fields can say the same.  Such a
file reads as if its author had written those, and one :class:`ForeignFieldWarning` for each kind
of field says so.  What has no equal here (a fork's own layer, a setting that changes numbers) stays
an error; :mod:`caffe.prototxt.forks` then names the fork that it comes from.

Only text is translated.  In binary files a field is a number, and forks gave one number different
meanings; numbers that BVLC does not know are skipped, as it skips them.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import NamedTuple

from caffe.errors import PrototxtError
from caffe.hints import did_you_mean
from caffe.prototxt import forks
from caffe.prototxt.forks import ForeignFieldWarning
from caffe.prototxt.scan import Entry, entries

__all__ = ["FIELDS", "Foreign", "ForeignFieldWarning", "translate"]


class Edit(NamedTuple):
    """``text[start:end]`` becomes ``new``."""

    start: int
    end: int
    new: str


Found = dict[str, Entry]  # the fields of one row in one message, by name


class Foreign(NamedTuple):
    """One row of the table.

    inside: the field that holds the message, "" for the file itself; ``layer`` is any layer.
    names: the fields, translated together.
    origin: who wrote them. meaning: what they say there. became: what they are read as.
    edit: from the fields found in one message to the edits of the text.
    """

    inside: str
    names: tuple[str, ...]
    origin: str
    meaning: str
    became: str
    edit: Callable[[Found, str], list[Edit]]


def _instead(entry: Entry, new: str) -> Edit:
    return Edit(entry.start, entry.end, new)


def _renamed(entry: Entry, new: str) -> Edit:
    return Edit(entry.start, entry.start + len(entry.name), new)


def _dropped(found: Found, source: str) -> list[Edit]:
    return [_instead(entry, "") for entry in found.values()]


def _choice(entry: Entry, choices: dict[str, str], source: str) -> str:
    """What the entry's value is translated to; raises PrototxtError for any other value."""
    value = entry.values[0].strip("\"'") if len(entry.values) == 1 else " ".join(entry.values)
    if value not in choices:
        raise PrototxtError(
            f"{source}:{entry.line}:{entry.column}: {entry.name}: {value or '{ }'} is none of "
            f"{', '.join(choices)}.{did_you_mean(value, choices)}"
        )
    return choices[value]


def _both(true: str, false: str) -> dict[str, str]:
    """The spellings of a bool in text format."""
    return {
        **dict.fromkeys(("true", "True", "t", "1"), true),
        **dict.fromkeys(("false", "False", "f", "0"), false),
    }


def _ceil_mode(found: Found, source: str) -> list[Edit]:
    entry = found["ceil_mode"]
    mode = _choice(entry, _both("CEIL", "FLOOR"), source)
    return [_instead(entry, f"round_mode: {mode}")]


def _floor(found: Found, source: str) -> list[Edit]:
    """``round_below`` and ``torch_pooling``: true rounds down, false is BVLC's way."""
    entry = next(iter(found.values()))
    return [_instead(entry, _choice(entry, _both("round_mode: FLOOR", ""), source))]


def _hole(found: Found, source: str) -> list[Edit]:
    first, *others = sorted(found.values(), key=lambda entry: entry.start)
    if "hole" in found:
        values = found["hole"].values
    else:
        values = [found[n].values[0] if n in found else "1" for n in ("hole_h", "hole_w")]
    new = " ".join(f"dilation: {value}" for value in values)
    return [_instead(first, new), *(_instead(entry, "") for entry in others)]


def _dilation(found: Found, source: str) -> list[Edit]:
    first, *others = sorted(found.values(), key=lambda entry: entry.start)
    values = [found[n].values[0] if n in found else "1" for n in ("dilation_h", "dilation_w")]
    new = " ".join(f"dilation: {value}" for value in values)
    return [_instead(first, new), *(_instead(entry, "") for entry in others)]


def _crop_param(found: Found, source: str) -> list[Edit]:
    return [_renamed(found["crop_param_"], "crop_param")]


def _softmax_loss(found: Found, source: str) -> list[Edit]:
    return [_renamed(found["softmaxwithloss_param"], "loss_param")]


# SegNet normalises with this eps, which its files cannot set.
_LEARN = "statistics: BATCH eps: 1e-9"


def _segnet_bn(found: Found, source: str) -> list[Edit]:
    edits = []
    mode = found.get("bn_mode")
    if mode is not None:
        choices = {
            "LEARN": _LEARN,
            "0": _LEARN,
            "INFERENCE": "statistics: NONE",
            "1": "statistics: NONE",
        }
        edits.append(_instead(mode, _choice(mode, choices, source)))
    for old, new in (("scale_filler", "slope_filler"), ("shift_filler", "bias_filler")):
        if old in found:
            learn = "" if edits else _LEARN + " "  # LEARN is the default there
            edits.append(_renamed(found[old], learn + new))
    return edits


def _strict_dim(found: Found, source: str) -> list[Edit]:
    _choice(found["strict_dim"], _both("", ""), source)
    return _dropped(found, source)


def _moving_average(found: Found, source: str) -> list[Edit]:
    entry = found["moving_average"]
    return [_instead(entry, _choice(entry, _both("", "statistics: BATCH"), source))]


def _engine(found: Found, source: str) -> list[Edit]:
    entry = found["engine"]
    value = entry.values[0].strip("\"'") if entry.values else ""
    return [_instead(entry, "engine: DEFAULT")] if value in _INTEL_ENGINES else []


_INTEL_ENGINES = ("MKL2017", "MKLDNN")
_SSD = "SSD"
_NVIDIA = "NVIDIA Caffe 0.16 and later"
_INTEL = "Intel Caffe"
_SPEED = "how it is computed there, not what"
_LEFT_OUT = "left out"

FIELDS: tuple[Foreign, ...] = (
    Foreign(
        "pooling_param",
        ("ceil_mode",),
        "BVLC pull request 3057, the DenseNet and ShuffleNet forks, PyTorch converters",
        "whether the output size is rounded up (true, the default) or down",
        "round_mode: CEIL or FLOOR",
        _ceil_mode,
    ),
    *(
        Foreign(
            "pooling_param",
            (name,),
            origin,
            "whether the output size is rounded down",
            "round_mode: FLOOR where it is true",
            _floor,
        )
        for name, origin in (
            ("round_below", "iterative error feedback (IEF)"),
            ("torch_pooling", "Facebook's Caffe"),
        )
    ),
    Foreign(
        "convolution_param",
        ("hole", "hole_h", "hole_w"),
        "DeepLab",
        "the step between the taps of the kernel",
        "dilation",
        _hole,
    ),
    Foreign(
        "convolution_param",
        ("dilation_h", "dilation_w"),
        "forks with a dilation for each axis",
        "the step between the taps of the kernel",
        "dilation",
        _dilation,
    ),
    Foreign(
        "layer",
        ("crop_param_",),
        "the FCN-8s file of 2015 that was passed around",
        "the settings of a Crop, before the field had its final name",
        "crop_param",
        _crop_param,
    ),
    Foreign(
        "layer",
        ("softmaxwithloss_param",),
        "DeepLab",
        "the settings of the loss, ignore_label above all",
        "loss_param",
        _softmax_loss,
    ),
    Foreign(
        "bn_param",
        ("bn_mode", "scale_filler", "shift_filler"),
        "SegNet",
        "batch normalisation by the batch (LEARN), or a scale and shift that hold the "
        "statistics of the data set (INFERENCE)",
        "statistics: BATCH or NONE, slope_filler, bias_filler",
        _segnet_bn,
    ),
    Foreign(
        "bn_param",
        ("moving_average",),
        "the temporal segment networks of 2015",
        "whether running statistics are kept",
        "statistics: MOVING or BATCH",
        _moving_average,
    ),
    *(
        Foreign(
            message,
            ("strict_dim",),
            "DeepLab and its relatives",
            "whether pictures of different sizes are refused; here each layer checks the shapes "
            "that it needs",
            _LEFT_OUT,
            _strict_dim,
        )
        for message in ("", "layer", "data_param", "image_data_param", "transform_param")
    ),
    Foreign(
        "",
        ("plateau_winsize",),
        _SSD,
        "the window of the lr_policy plateau, which BVLC has not",
        _LEFT_OUT,
        _dropped,
    ),
    *(
        Foreign(
            message,
            ("engine",),
            _INTEL,
            f"the library that computes the layer: {_SPEED}",
            "engine: DEFAULT",
            _engine,
        )
        for message in (
            "convolution_param",
            "pooling_param",
            "lrn_param",
            "relu_param",
            "bn_param",
            "sigmoid_param",
            "softmax_param",
            "tanh_param",
            "spp_param",
        )
    ),
    Foreign(
        "layer",
        ("engine",),
        _INTEL,
        f"the library that computes the layer: {_SPEED}",
        _LEFT_OUT,
        _dropped,
    ),
    Foreign(
        "", ("engine",), _INTEL, f"the library that computes the net: {_SPEED}", _LEFT_OUT, _dropped
    ),
    Foreign(
        "",
        ("mem_param",),
        "PSPNet, the temporal segment networks",
        f"which blobs share memory: {_SPEED}",
        _LEFT_OUT,
        _dropped,
    ),
    *(
        Foreign(
            "",
            (name,),
            _NVIDIA,
            "the precision of the arithmetic; here it is float32",
            _LEFT_OUT,
            _dropped,
        )
        for name in (
            "default_forward_type",
            "default_backward_type",
            "default_forward_math",
            "default_backward_math",
        )
    ),
    *(
        Foreign("", (name,), _NVIDIA, f"the choice of kernels: {_SPEED}", _LEFT_OUT, _dropped)
        for name in ("default_conv_algos_override", "default_cudnn_math_override")
    ),
    *(
        Foreign(
            "layer",
            (name,),
            _NVIDIA,
            "the precision of the arithmetic; here it is float32",
            _LEFT_OUT,
            _dropped,
        )
        for name in ("forward_type", "backward_type", "forward_math", "backward_math")
    ),
    Foreign(
        "layer",
        ("cudnn_math_override",),
        _NVIDIA,
        f"the choice of kernels: {_SPEED}",
        _LEFT_OUT,
        _dropped,
    ),
    *(
        Foreign(
            "convolution_param",
            (name,),
            _NVIDIA,
            f"the choice of kernels: {_SPEED}",
            _LEFT_OUT,
            _dropped,
        )
        for name in ("conv_algos_override", "cudnn_convolution_algo_seeker")
    ),
    *(
        Foreign(
            "data_param",
            (name,),
            _NVIDIA,
            f"how many threads read the data: {_SPEED}",
            _LEFT_OUT,
            _dropped,
        )
        for name in ("threads", "parser_threads")
    ),
    Foreign(
        "transform_param",
        ("use_gpu_transform",),
        _NVIDIA,
        f"where pictures are transformed: {_SPEED}",
        _LEFT_OUT,
        _dropped,
    ),
)

# Rows of fields that are left out wherever they stand: (message, names, fork, meaning).
_PLAIN = (
    ("", ("global_grad_scale",), _NVIDIA, "a factor that the update takes away again"),
    ("", ("reduce_buckets", "eltwise_mem_share"), _NVIDIA, _SPEED),
    ("", ("store_blobs_in_old_format",), _NVIDIA, "the form of snapshots; here it is BVLC's"),
    (
        "",
        ("test_and_snapshot_start_epoch", "test_and_snapshot_last_epochs"),
        _NVIDIA,
        "further tests and snapshots, by epochs",
    ),
    (
        "",
        ("log_file", "richness"),
        "deep-landmark, the temporal segment networks",
        "what is logged",
    ),
    ("", ("optimize_mem",), "forks that save memory", f"which blobs share memory: {_SPEED}"),
    ("", ("compile_net_state", "bn_stats_batch_size", "sgd_bucket"), _INTEL, _SPEED),
    ("layer", ("mn_param",), _INTEL, f"how several machines share the layer: {_SPEED}"),
    (
        "layer",
        ("quantization_param",),
        "Ristretto, Intel Caffe",
        "the precision of the arithmetic; here it is float32",
    ),
    *(
        (message, ("engine",), "forks with more engines", f"the library: {_SPEED}")
        for message in (
            "batch_norm_param",
            "inner_product_param",
            "eltwise_param",
            "concat_param",
            "scale_param",
            "dropout_param",
        )
    ),
    (
        "batch_norm_param",
        ("sync", "sync_forward_backward"),
        "forks that train on several GPUs",
        "whether the batches of all GPUs count together",
    ),
    ("relu_param", ("fuse",), _INTEL, _SPEED),
    ("data_param", ("cache", "prefetch_count"), _NVIDIA, f"how data are read: {_SPEED}"),
    ("image_data_param", ("cache", "threads"), _NVIDIA, f"how data are read: {_SPEED}"),
    ("pooling_param", ("deterministic",), "DeepMask's and other forks", _SPEED),
    ("pooling_param", ("output_mask",), "forks that unpool", "a second top; BVLC counts tops"),
)
FIELDS += tuple(
    Foreign(message, (name,), origin, meaning, _LEFT_OUT, _dropped)
    for message, names, origin, meaning in _PLAIN
    for name in names
)

_NAMES = re.compile(r"\b(?:" + "|".join(sorted({n for row in FIELDS for n in row.names})) + r")\b")


def translate(text: str, source: str) -> str:
    """``text`` with its foreign fields in BVLC's words; lines keep their numbers.

    Warns with one :class:`ForeignFieldWarning` for each row of :data:`FIELDS` that was used.

    Raises:
        PrototxtError: a foreign field has a value that the fork did not know.
    """
    if not _NAMES.search(text) and not forks.names_type(text):
        return text
    messages = _by_field(entries(text))
    unknown = forks.settings_of_fork_layers(messages.get("layer", []), source)
    edits = [_instead(entry, "") for entry in unknown]
    left_out = {(entry.start, entry.end) for entry in unknown}
    for row in FIELDS:
        used = []
        for message in messages.get(row.inside, ()):
            if any(start <= message.start and message.end <= end for start, end in left_out):
                continue
            found = {e.name: e for e in message.children if e.name in row.names}
            if found and row.edit is _dropped:  # also where it is repeated
                made = [_instead(e, "") for e in message.children if e.name in row.names]
            else:
                made = row.edit(found, source) if found else []
            edits += made
            if made:
                used.append((min(found.values(), key=lambda e: e.start), message))
        if used:
            _warn(row, used, source)
    for edit in sorted(edits, reverse=True):
        lines = "\n" * text.count("\n", edit.start, edit.end)
        text = text[: edit.start] + edit.new + lines + text[edit.end :]
    return text


def _by_field(root: Entry) -> dict[str, list[Entry]]:
    """Every message of the file by the name of the field that holds it, in file order."""
    messages: dict[str, list[Entry]] = {}
    waiting = [root]
    while waiting:
        entry = waiting.pop()
        name = "layer" if entry.name == "layers" else entry.name
        messages.setdefault(name, []).append(entry)
        waiting += [child for child in reversed(entry.children) if child.children]
    return messages


def _warn(row: Foreign, used: list[tuple[Entry, Entry]], source: str) -> None:
    first, message = used[0]
    more = f" (and in {len(used) - 1} more places)" if len(used) > 1 else ""
    value = f": {' '.join(first.values)}" if first.values else ""
    warnings.warn(
        f"{source}:{first.line}:{first.column}: {_place(message)}{first.name}{value}{more} is a "
        f"field of {row.origin}: {row.meaning}. It is "
        f"{row.became if row.became == _LEFT_OUT else 'read as ' + row.became}.",
        ForeignFieldWarning,
        stacklevel=2,
    )


def _place(entry: Entry | None) -> str:
    """The layer that holds a message, where there is one."""
    while entry is not None and entry.name not in ("layer", "layers"):
        entry = entry.parent
    if entry is None:
        return ""
    names = [e.values[0] for e in entry.children if e.name == "name" and e.values]
    return f"layer {names[0]}: " if names else "a layer without a name: "
