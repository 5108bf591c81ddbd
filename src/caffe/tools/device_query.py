"""``caffe device_query``: what PyTorch knows about the GPUs that ``-gpu`` names, and which kernels
the CPU runs."""

from __future__ import annotations

from types import SimpleNamespace

import torch

from caffe import native
from caffe.device import set_device
from caffe.tools import brew

__all__ = ["run"]

NAMES = {"amx": "AVX-512, AMX", "avx512": "AVX-512", "avx2": "AVX2"}  # of native.KINDS

# BVLC's words for what it prints → the property in PyTorch, where this version has it.
PROPERTIES = {
    "Major revision number": "major",
    "Minor revision number": "minor",
    "Name": "name",
    "Total global memory": "total_memory",
    "Total shared memory per block": "shared_memory_per_block",
    "Total registers per multiprocessor": "regs_per_multiprocessor",
    "Warp size": "warp_size",
    "Maximum threads per multiprocessor": "max_threads_per_multi_processor",
    "Number of multiprocessors": "multi_processor_count",
}


def run(flags: SimpleNamespace) -> int:
    """Print the kernels of the CPU and the properties of the GPUs; returns 0, also without GPUs."""
    lacking = native.why_not()
    loaded = (
        "" if lacking else "; ".join([f"native ({NAMES[native.kind()]})", *native.passed_over()])
    )
    kernels = loaded or f"PyTorch's; not native: {lacking}"
    brew.log(f"{'CPU kernels:':<40}{kernels}")
    brew.log(f"Querying GPUs {flags.gpu}")
    for index in brew.gpus(flags):
        set_device(index)
        known = torch.cuda.get_device_properties(index)
        brew.log(f"{'Device id:':<40}{index}")
        for words, name in PROPERTIES.items():
            if hasattr(known, name):
                brew.log(f"{words + ':':<40}{getattr(known, name)}")
    return 0
