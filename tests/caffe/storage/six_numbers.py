"""Six numbers of one value, and the devices on which they may be."""

import torch

from caffe.device import current

SHAPE = (2, 3)


def full(value):
    """A tensor on the test's device."""
    return torch.full(SHAPE, float(value), device=current().torch_device)


def on(name):
    """Compute on another device from now on."""
    import pretend_device

    from caffe import device as devices

    if name.startswith("pretend"):
        pretend_device.set_mode_pretend(int(name[-1]))
    else:
        getattr(devices, f"set_mode_{name}")()
