"""Net surgery: move weights between nets of different shape, and make upsampling bilinear.

    transplant(new_net, net, suffix="")     copy parameters by layer name, FC → convolution included
    load(net, "file.caffemodel")            the same from a file, whatever net it was saved from
    interp(net, ["upscore", …])             bilinear weights in Deconvolution layers
    expand_score(new_net, new, net, old)    the first classes of a larger score layer
    widen_input(net, new, "file…", old)     a first convolution that reads more channels
    take_classes(net, new, "file…", old, …) a score layer from a classifier's own classes

Each of the first two returns a `Report`. Names, printed lines and arithmetic are those of the
published FCN code; what cannot be right (another number of elements) is an error instead of a
silent tiling.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from fcn.weights.bilinear import upsample_filt
from fcn.weights.fold import foldable, folded

__all__ = [
    "Report",
    "SurgeryError",
    "expand_score",
    "interp",
    "load",
    "take_classes",
    "transplant",
    "upsample_filt",
    "uses_upsampling",
    "widen_input",
]


class SurgeryError(ValueError):
    """The two nets do not fit together."""


class Report:
    """What a transplant did, as lists of (layer, blob index) of the new net unless said otherwise.

    copied: same shape; coerced: same number of elements, another shape; dropped: in the old net
    only, as (old layer, blob index) or (old layer, None) for a whole layer; left: untouched in the
    new net; folded: names of the old net's BatchNorms and Scales that became part of a convolution,
    by that. `str(report)` gives the lines that the published code prints.
    """

    def __init__(self):
        self.copied = []
        self.coerced = []
        self.dropped = []
        self.left = []
        self.folded = {}
        self.lines = []

    def __str__(self):
        return "\n".join(self.lines)

    def summary(self) -> str:
        """One line with the counts, then one for each layer that was not simply copied."""

        def names(pairs):
            return ", ".join(OrderedDict((name, None) for name, _ in pairs)) or "none"

        inside = sum(len(names) for names in self.folded.values())
        note = (
            f"  folded into convolutions: {inside} BatchNorm and Scale layers\n" if inside else ""
        )
        return (
            f"{len(self.copied)} blobs copied, {len(self.coerced)} coerced, "
            f"{len(self.dropped)} dropped, {len(self.left)} left at their filler\n"
            f"{note}  coerced to another shape: {names(self.coerced)}\n"
            f"  dropped (not in this net): {names(self.dropped)}\n"
            f"  left at their filler: {names(self.left)}"
        )

    def _line(self, *words):
        self.lines.append(" ".join(str(word) for word in words))


def transplant(new_net: Any, net: Any, suffix: str = "") -> Report:
    """Copy the parameters of `net` to the layers of `new_net` of the same name plus `suffix`.

    Blobs of equal shape are copied; of equal element count and another shape, they are coerced,
    element by element in C order, which is what makes a fully connected layer of O×(C·H·W) weights
    the convolution O×C×H×W. Layers and surplus blobs that `new_net` lacks are dropped, and what
    has no source stays as it is.

    net: a Net, or anything with `params`, a mapping from layer name to blobs with `data`.
    Raises SurgeryError, before anything is changed, if two blobs differ in their element count.
    """
    report = _plan(new_net, net, suffix)
    for name in net.params:
        if name + suffix in new_net.params:
            for new, old in zip(new_net.params[name + suffix], net.params[name]):
                new.data.flat = np.asarray(old.data).ravel()
    print(report)
    return report


def _plan(new_net, net, suffix):
    """The Report of a transplant, from the shapes alone."""
    report = Report()
    filled = set()
    for name, old_blobs in net.params.items():
        new_name = name + suffix
        if new_name not in new_net.params:
            report.dropped.append((name, None))
            report._line("dropping", name)
            continue
        new_blobs = new_net.params[new_name]
        for i in range(len(old_blobs)):
            if i >= len(new_blobs):
                report.dropped.append((name, i))
                report._line("dropping", name, i)
                continue
            old_shape, new_shape = _shape(old_blobs[i]), _shape(new_blobs[i])
            filled.add((new_name, i))
            if old_shape == new_shape:
                report.copied.append((new_name, i))
                report._line("copying", name, " -> ", new_name, i)
            elif _count(old_shape) == _count(new_shape):
                report.coerced.append((new_name, i))
                report._line("coercing", name, i, "from", old_shape, "to", new_shape)
            else:
                raise SurgeryError(
                    f"cannot transplant {name} blob {i}: {old_shape} has {_count(old_shape)} "
                    f"elements, {new_shape} of the new net has {_count(new_shape)}. "
                    "Rename the layer in the new net to learn it from scratch."
                )
    for name, blobs in new_net.params.items():
        report.left += [(name, i) for i in range(len(blobs)) if (name, i) not in filled]
    return report


def _shape(blob):
    return tuple(int(d) for d in blob.shape)


def _count(shape):
    return int(np.prod(shape, dtype=np.int64))


def load(net: Any, path: str, suffix: str = "", replace_scores: bool = False) -> Report:
    """Transplant from a caffemodel; the prototxt it was saved from is not needed.

    Where the file has BatchNorm and Scale behind a convolution, and the net only the convolution,
    with a bias, they are folded into it (fcn/weights/fold.py). Where all blobs agree in shape, this
    is `net.copy_from(path)`. replace_scores: pass over layers with "score" in their name that are
    of another number of classes; the report has them as dropped and left. OSError if the file
    cannot be read, SurgeryError if it is not a caffemodel or does not fit.
    """
    stored = _StoredNet(path)
    folded = stored.fold(net, suffix)
    if replace_scores:
        stored.drop_scores(net, suffix)
    report = _plan(net, stored, suffix)
    report.dropped += [(name, None) for name in stored.dropped]
    report.folded = folded
    if not report.copied and not report.coerced:
        raise SurgeryError(
            f"{path} has no layer in common with the net: it has {_some(stored.params)}; "
            f"the net has {_some(net.params)}"
        )
    surplus = stored.dropped or any(blob is not None for _, blob in report.dropped)
    short = {n for n, _ in report.left} & {n for n, _ in report.copied}
    if suffix or report.coerced or surplus or short or folded:
        for name in stored.params:
            for new, old in zip(net.params.get(name + suffix, ()), stored.params[name]):
                new.data.flat = old.data
    else:
        del stored  # the file is about to be read once more
        net.copy_from(path)
    return report


def _some(names, most=6):
    names = list(names)
    return ", ".join(names[:most]) + (", …" if len(names) > most else "") or "none"


class _StoredNet:
    """The parameters inside a caffemodel, by layer name, like a Net's `params`."""

    def __init__(self, path):
        from google.protobuf.message import DecodeError

        from caffe.proto import caffe_pb2

        net = caffe_pb2.NetParameter()
        try:
            with open(path, "rb") as f:
                net.ParseFromString(f.read())
        except DecodeError as e:
            raise SurgeryError(f"{path} is not a whole caffemodel: {e}") from e
        self.params: dict[str, list] = OrderedDict()
        self.dropped = []
        self._layers = net.layer
        layers: list = list(net.layer) + list(net.layers)
        for layer in layers:
            if layer.DESCRIPTOR.name == "V1LayerParameter" and layer.HasField("layer"):
                layer = layer.layer  # the oldest format keeps the layer one level down
            if layer.blobs:
                self.params[layer.name] = [_StoredBlob(path, layer.name, b) for b in layer.blobs]

    def drop_scores(self, net, suffix):
        """Forget the score layers that have another number of elements in `net`."""
        for name in [name for name in self.params if "score" in name]:
            new = net.params.get(name + suffix, ()) if name + suffix in net.params else ()
            pairs = zip(self.params[name], new)
            if any(_count(_shape(old)) != _count(_shape(blob)) for old, blob in pairs):
                del self.params[name]
                self.dropped.append(name)

    def fold(self, net, suffix):
        """Fold BatchNorm and Scale into the convolutions that have them here and none in `net`;
        returns {convolution: [the folded layers]}."""
        done = {}
        for name, chain in foldable(self._layers).items():
            names = [layer.name for layer in chain]
            wanted = net.params.get(name + suffix, ()) if hasattr(net.params, "get") else ()
            if len(wanted) < 2 or any(inner + suffix in net.params for inner in names[1:]):
                continue
            if any(inner not in self.params for inner in names):
                continue
            blobs, statistics, scale = ([b.data for b in self.params[inner]] for inner in names)
            bias = blobs[1] if len(blobs) > 1 else None
            made = folded(blobs[0], bias, statistics, chain[1].batch_norm_param.eps, scale)
            self.params[name] = [_Array(values) for values in made]
            for inner in names[1:]:
                del self.params[inner]
            done[name] = names[1:]
        return done


class _Array:
    """A blob that was computed: `shape` and `data`, as _StoredBlob has them."""

    def __init__(self, data):
        self.shape, self.data = data.shape, data


class _StoredBlob:
    """One BlobProto: its shape now, its values when asked for."""

    def __init__(self, path, layer, proto):
        self._proto = proto
        if proto.HasField("shape"):
            self.shape = tuple(proto.shape.dim)
        else:
            # Before blobs had shapes: always four axes, so a bias is 1×1×1×N.
            legacy: tuple = (proto.num, proto.channels, proto.height, proto.width)
            while len(legacy) > 1 and legacy[0] == 1:
                legacy = legacy[1:]
            self.shape = legacy
        self._values = proto.data or proto.double_data
        if len(self._values) != _count(self.shape):
            raise SurgeryError(
                f"{path}: layer {layer} has a blob of shape {self.shape} with "
                f"{len(self._values)} values"
            )

    @property
    def data(self):
        # fromiter, because asarray would first make a list of Python floats, 32 bytes each.
        return np.fromiter(self._values, np.float32, len(self._values)).reshape(self.shape)


def uses_upsampling(net: Any) -> list[str]:
    """The names of the layers whose weights `interp` sets: those with "up" in their name."""
    return [name for name in net.params if "up" in name]


def interp(net: Any, layers: Iterable[str]) -> None:
    """Write bilinear kernels to the weights (m, k, h, w) of the Deconvolution layers named.

    With k = m (all classes to all classes) the kernel goes to the diagonal, with k = 1 (grouped)
    to each channel. Entries off the diagonal keep their values, as in the published code: they are
    zero unless a filler or a file put something there. Raises SurgeryError for other shapes,
    before any is written.
    """
    for name in layers:
        m, k, h, w = net.params[name][0].data.shape
        if k not in (m, 1):
            raise SurgeryError(
                f"{name}: bilinear weights need as many inputs as outputs or one input per group; "
                f"its weights are {m}×{k}×{h}×{w}"
            )
        if h != w:
            raise SurgeryError(f"{name}: the kernel must be square; it is {h}×{w}")
    for name in layers:
        weights = net.params[name][0].data
        m, k, h, _ = weights.shape
        weights[range(m), range(k) if k == m else 0] = upsample_filt(h)


def expand_score(new_net: Any, new_layer: str, net: Any, layer: str) -> None:
    """Copy a score layer of k classes to the first k of a score layer of k' ≥ k classes.

    net, layer: where the k classes come from; new_net, new_layer: where they go. The other classes
    keep their values. Biases may have one axis or the four of old files (1×1×1×N).
    """
    old, new = net.params[layer], new_net.params[new_layer]
    classes, room = old[0].data.shape[0], new[0].data.shape[0]
    if old[0].data.shape[1:] != new[0].data.shape[1:] or classes > room:
        raise SurgeryError(
            f"cannot expand {layer} {_shape(old[0])} to {new_layer} {_shape(new[0])}: "
            "the new layer needs at least as many classes and the same input"
        )
    new[0].data[:classes] = old[0].data
    if len(old) > 1 and len(new) > 1:
        new[1].data.reshape(-1)[:classes] = old[1].data.ravel()


def widen_input(net: Any, new_layer: str, path: str, layer: str) -> list[tuple[str, int]]:
    """Fill a first convolution that reads more channels than the one in a caffemodel.

    The channels that both have are copied, each further one is the mean of those, the bias is
    copied: what the published nyud-fcn32s-color-d does for depth. Returns the (layer, blob index)
    pairs that were filled. SurgeryError if the file has no such layer or it does not fit.
    """
    stored = _StoredNet(path).params
    if layer not in stored:
        raise SurgeryError(f"{path} has no layer {layer}; it has {_some(stored)}")
    old, new = stored[layer], net.params[new_layer]
    shape, wide = _shape(old[0]), _shape(new[0])
    fits = len(shape) == len(wide) == 4 and shape[0] == wide[0] and shape[2:] == wide[2:]
    if not fits or shape[1] > wide[1] or len(old) != len(new):
        raise SurgeryError(
            f"cannot widen {layer} {shape} of {path} to {new_layer} {wide}: all but the number of "
            "input channels must be equal"
        )
    weights = old[0].data
    new[0].data[:, : shape[1]] = weights
    new[0].data[:, shape[1] :] = weights.mean(axis=1, keepdims=True)
    for i in range(1, len(new)):
        new[i].data.flat = old[i].data.ravel()
    return [(new_layer, i) for i in range(len(new))]


def take_classes(
    net: Any,
    new_layer: str,
    path: str,
    layer: str,
    classes: Sequence[Sequence[int]],
    scale: float = 0.5,
    rest: float = 1.5,
) -> list[tuple[str, int]]:
    """Start a score layer from the classifier in a caffemodel that its features come from.

    classes: for each class of the score layer, the classifier's classes that it consists of; none:
    its score starts as `rest`, whatever is seen. A class's weights are the mean of theirs, less the
    mean of all, at the length that theirs have on average, times `scale`: the mean of many, say of
    118 breeds, is short, though it points the right way. An average pooling stood between features
    and classifier; a place of its own scores some times as high as an image, hence the scale.

    Returns the (layer, blob index) pairs that were filled. SurgeryError if the file has no such
    layer or it does not fit.
    """
    stored = _StoredNet(path).params
    if layer not in stored or len(stored[layer]) < 2:
        raise SurgeryError(f"{path} has no layer {layer} with a bias; it has {_some(stored)}")
    old = [np.asarray(blob.data, np.float64) for blob in stored[layer]]
    weights, bias = old[0].reshape(len(old[0]), -1), old[1].ravel()
    new = net.params[new_layer]
    shape = _shape(new[0])
    most = max((max(members) for members in classes if members), default=0)
    if shape != (len(classes), weights.shape[1], 1, 1) or most >= len(weights):
        raise SurgeryError(
            f"{new_layer} {shape} cannot start from {layer} {weights.shape} of {path}: expected "
            f"{(len(classes), weights.shape[1], 1, 1)} and classes below {len(weights)}"
        )
    weights, bias = weights - weights.mean(axis=0), bias - bias.mean()
    lengths = np.linalg.norm(weights, axis=1)
    for i, members in enumerate(classes):
        if not members:
            new[0].data[i], new[1].data[i] = 0, rest
            continue
        chosen = list(members)
        mean = weights[chosen].mean(axis=0)
        factor = scale * lengths[chosen].mean() / np.linalg.norm(mean)
        new[0].data[i] = (factor * mean).reshape(shape[1:])
        new[1].data[i] = factor * bias[chosen].mean()
    return [(new_layer, 0), (new_layer, 1)]
