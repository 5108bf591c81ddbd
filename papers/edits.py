"""Changes of a NetParameter, in place: what an experiment does otherwise than the catalog's row.

Each maker returns change(net, phase, seed), as `_training.Variant` wants it; phase is "train" or
"val".
"""

from google.protobuf import text_format

from caffe.proto import caffe_pb2

__all__ = [
    "both",
    "by_name",
    "fixed_trunk",
    "insert",
    "jitter",
    "learnt_upsampling",
    "mask",
    "option",
    "sampled_loss",
    "scores_filled",
    "scratch_trunk",
    "weighted_loss",
]

_PYTHON = """
layer {{ name: "{name}" type: "Python" {blobs}
  python_param {{ module: "experiment_layers" layer: "{layer}" param_str: "{options}" }} }}
"""


def by_name(net, name):
    """A layer of a NetParameter."""
    for layer in net.layer:
        if layer.name == name:
            return layer
    raise LookupError(f"the net has no layer {name!r}")


def insert(net, text, after=0):
    """Put the layers of a prototxt text after layer number `after`, the data layer by default."""
    new = caffe_pb2.NetParameter()
    text_format.Merge(text, new)
    layers = list(net.layer[: after + 1]) + list(new.layer) + list(net.layer[after + 1 :])
    whole = caffe_pb2.NetParameter(layer=layers)
    del net.layer[:]
    net.layer.extend(whole.layer)


def both(*changes):
    """One change after the other."""

    def change(net, phase, seed):
        for each in changes:
            each(net, phase, seed)

    return change


def python_layer(net, name, layer, blobs, **options):
    """Insert one of `experiment_layers` after the data layer. blobs: "bottom: … top: …"."""
    insert(net, _PYTHON.format(name=name, layer=layer, blobs=blobs, options=repr(options)))


def sampled_loss(share, cell):
    """While training, each cell of `cell`×`cell` pixels is in the loss with probability `share`."""

    def change(net, phase, seed):
        if phase == "train" and share < 1:
            net.layer[0].top[1] = "label_all"
            python_layer(
                net,
                "sampled",
                "SampleLossLayer",
                'bottom: "label_all" top: "label"',
                keep=share,
                cell=cell,
                seed=seed,
            )

    return change


def jitter(by):
    """While training, images are moved by up to `by` pixels along each axis."""

    def change(net, phase, seed):
        if phase == "train":
            net.layer[0].top[0], net.layer[0].top[1] = "data_still", "label_still"
            python_layer(
                net,
                "jitter",
                "JitterLayer",
                'bottom: "data_still" bottom: "label_still" top: "data" top: "label"',
                by=by,
                seed=seed,
            )

    return change


def mask(hide, foreground, phases=("train", "val")):
    """Hide the foreground or the background of the images, see `experiment_layers.MaskLayer`."""

    def change(net, phase, seed):
        if phase in phases:
            net.layer[0].top[0] = "data_whole"
            python_layer(
                net,
                "mask",
                "MaskLayer",
                'bottom: "data_whole" bottom: "label" top: "data"',
                hide=hide,
                foreground=list(foreground),
            )

    return change


def option(phase, **options):
    """Add keys to the data layer's param_str in one phase."""
    wanted = phase

    def change(net, phase, seed):
        if phase == wanted:
            param = net.layer[0].python_param
            param.param_str = f"{param.param_str[:-1]}, {repr(options)[1:]}"

    return change


def fixed_trunk(net, phase, seed):
    """Only the score layers learn. BatchNorm uses what it has measured, for the trunk is fixed."""
    for layer in net.layer:
        if layer.type == "BatchNorm":
            layer.batch_norm_param.use_global_stats = True
        if not layer.name.startswith("score"):
            for param in layer.param:
                param.lr_mult = 0


def scratch_trunk(net, phase, seed):
    """A trunk that starts from msra fillers and learns at the full rate."""
    for layer in net.layer:
        if layer.name.startswith(("score", "upscore")):
            continue
        if layer.type == "Convolution":
            filler = caffe_pb2.FillerParameter(type="msra")
            layer.convolution_param.weight_filler.CopyFrom(filler)
        if layer.type in ("Convolution", "Scale"):
            for param in layer.param:
                param.lr_mult = 1


def learnt_upsampling(net, phase, seed):
    """Deconvolutions learn, bilinear at first; the last stays fixed, as in the CVPR paper."""
    found = [layer for layer in net.layer if layer.type == "Deconvolution"]
    for layer in found[:-1]:
        layer.param[0].lr_mult = 1


def scores_filled(filler, **options):
    """Other initial weights in the score layers: a filler's type and fields."""

    def change(net, phase, seed):
        for layer in net.layer:
            if layer.name.startswith("score") and layer.type == "Convolution":
                param = layer.convolution_param
                param.weight_filler.CopyFrom(caffe_pb2.FillerParameter(type=filler, **options))

    return change


def weighted_loss(path):
    """InfogainLoss while training, whose matrix is in a BlobProto file; val keeps its loss."""

    def change(net, phase, seed):
        if phase == "train":
            loss = by_name(net, "loss")
            loss.type = "InfogainLoss"
            loss.loss_param.ClearField("normalize")
            loss.loss_param.normalization = caffe_pb2.LossParameter.VALID
            loss.infogain_loss_param.source = path

    return change
