"""What scripts of 2014 call and pycaffe 1.0 has no more: told what to write instead."""

from __future__ import annotations

__all__ = ["missing"]

_PHASE = "give the phase to the net: caffe.Net(prototxt, caffe.TEST, weights=caffemodel)"
_MODE = "the mode belongs to the thread, not to the net: caffe.set_mode_gpu() or set_mode_cpu()"
_TRANSFORMER = (
    "a transformer of its own prepares images: caffe.io.Transformer({'data': "
    "net.blobs['data'].data.shape}) has set_mean, set_raw_scale, set_channel_swap and preprocess"
)

_NET = {
    "set_phase_test": _PHASE,
    "set_phase_train": _PHASE,
    "set_mode_gpu": _MODE,
    "set_mode_cpu": _MODE,
    "set_device": "the device belongs to the thread, not to the net: caffe.set_device(index)",
    **dict.fromkeys(
        (
            "set_mean",
            "set_input_scale",
            "set_raw_scale",
            "set_channel_swap",
            "preprocess",
            "deprocess",
        ),
        _TRANSFORMER,
    ),
}
_CAFFE = {
    "set_phase_test": _PHASE,
    "set_phase_train": _PHASE,
    "imagenet_classifier": "caffe.Classifier does what it did",
    "drawnet": "it is called caffe.draw today",
}


def missing(owner: str, name: str) -> AttributeError:
    """The error for a name that ``Net`` or ``caffe`` does not have."""
    if owner == "Net":
        text, advice = f"'Net' object has no attribute '{name}'", _NET.get(name)
    else:
        text, advice = f"module 'caffe' has no attribute '{name}'", _CAFFE.get(name)
    if advice:
        text += f" in pycaffe 1.0: {advice}"
    return AttributeError(text, name=name)
