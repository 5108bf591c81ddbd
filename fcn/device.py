"""The device that a command computes on, chosen and told in one way."""

import caffe

__all__ = ["first_gpu", "use"]


def first_gpu():
    """0 where this engine finds a GPU; None on BVLC Caffe, which has no way to ask."""
    if not hasattr(caffe, "__engine__"):
        return None
    import torch

    return 0 if torch.cuda.is_available() else None


def use(gpu):
    """Compute on that GPU, or with None on the CPU; returns what it is called: "GPU 0", "CPU"."""
    if gpu is None:
        caffe.set_mode_cpu()
        return "CPU"
    caffe.set_device(gpu)
    caffe.set_mode_gpu()
    return f"GPU {gpu}"
