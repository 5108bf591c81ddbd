"""The device that a section runs on: a GPU, the pretend GPU, the mirror, or the CPU."""

import os
import sys

import torch

import caffe
from caffe import device as devices

__all__ = ["CHECKOUT", "Machine", "equal_share", "has", "nets_path", "relative_error", "share"]

CHECKOUT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Machine:
    """Enters and leaves the device's mode.

    name: gpu, pretend, mirror or cpu; real: whether it is a GPU, whose times and numerics count;
    torch_device: where PyTorch's own tensors go in a comparison.
    """

    def __init__(self, name):
        self.name, self.real = name, name == "gpu"
        self.torch_device = torch.device("cuda" if self.real else "cpu")
        self.pretend = None
        if name == "pretend":
            import pretend_device

            pretend_device.install()
            import pretend_graphs

            self._graphs = pretend_graphs.replayed()  # as long as this object lives
            self._graphs.__enter__()
            self.pretend = pretend_device

    def enter(self):
        """Compute on the device from now on."""
        if self.real:
            caffe.set_device(0)
            caffe.set_mode_gpu()
        elif self.pretend:
            self.pretend.set_mode_pretend()
        else:
            getattr(devices, "set_mode_" + self.name)()

    def leave(self):
        """Compute on the CPU from now on."""
        caffe.set_mode_cpu()

    def synchronize(self):
        if self.real:
            torch.cuda.synchronize()

    def graph_class(self):
        """The class whose `replay` runs a graph; None where there are none."""
        if self.real:
            return torch.cuda.CUDAGraph
        return sys.modules["pretend_graphs"].Graph if self.pretend else None

    def synchronisations(self):
        """A block that counts them by line on the pretend GPU; None elsewhere."""
        return self.pretend.counting() if self.pretend else None


def has(record, *names):
    """Whether `caffe` has all these functions; what is missing becomes a failed check."""
    missing = [name for name in names if not _there(name)]
    for name in missing:
        record.check(f"caffe.{name}", False, "is missing")
    return not missing


def _there(name):
    try:
        return callable(getattr(caffe, name))
    except AttributeError:
        return False


def nets_path(experiment, phase):
    return os.path.join(CHECKOUT, "nets", experiment, phase + ".prototxt")


def share(expected, found):
    """Largest difference as a share of the largest expected value; infinite for NaN."""
    import numpy as np

    if expected.shape != found.shape:
        return float("inf")
    largest = float(np.abs(expected).max()) if expected.size else 0.0
    difference = float(np.abs(expected - found).max()) if expected.size else 0.0
    if not difference == difference or not largest == largest:
        return float("inf")
    return difference / largest if largest else (float("inf") if difference else 0.0)


def equal_share(pairs):
    """(largest `share` over {key: (expected, found)}, its key)."""
    worst = (0.0, "nothing")
    for key, (a, b) in pairs.items():
        worst = max(worst, (share(a, b), str(key)))
    return worst


def relative_error(reference, found):
    """||found - reference|| / ||reference||, of tensors or arrays, in float64."""
    reference = torch.as_tensor(reference).double().cpu()
    found = torch.as_tensor(found).double().cpu()
    scale = float(reference.norm())
    error = float((found - reference).norm())
    if error != error:
        return float("inf")
    return error / scale if scale else float("inf" if error else 0)
