"""What runs: versions, the card, its driver, the switches that decide precision."""

import importlib
import importlib.util
import os
import platform
import subprocess

import torch

import caffe
from gpu_sections.machine import Machine

PACKAGES = ("numpy", "scipy", "h5py", "google.protobuf", "PIL", "pytest", "hypothesis")
OPTIONAL = ("lmdb", "plyvel", "onnxruntime", "triton")
#: Variables that override PyTorch's or cuBLAS' choice of precision and algorithms.
VARIABLES = (
    "NVIDIA_TF32_OVERRIDE",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
    "CUBLAS_WORKSPACE_CONFIG",
    "CUDNN_FRONTEND_LOG_INFO",
    "TORCH_CUDNN_V8_API_DISABLED",
    "PYTORCH_CUDA_ALLOC_CONF",
    "PYTORCH_ALLOC_CONF",
    "CUDA_LAUNCH_BLOCKING",
    "CUDA_VISIBLE_DEVICES",
    "CAFFE_GRAPHS",
    "CAFFE_KERNELS",
)


def run(record):
    packages(record)
    if record.options.device == "gpu":
        card(record)
    else:
        record.left_out("card", f"the device is {record.options.device}")
    machine = Machine(record.options.device)
    with record.step("a net runs"):
        machine.enter()
        first_net(record)
    switches(record)


def packages(record):
    record.check(
        "Python and PyTorch",
        True,
        f"Python {platform.python_version()}, torch {torch.__version__}, {caffe.__engine__}",
    )
    record.fact("python", platform.python_version())
    record.fact("torch", torch.__version__)
    versions = {}
    for name in PACKAGES:
        with record.step(f"import {name}"):
            module = importlib.import_module(name)
            versions[name] = getattr(module, "__version__", "?")
    record.fact("packages", versions)
    record.report("packages", ", ".join(f"{n} {v}" for n, v in versions.items()))
    missing = [name for name in OPTIONAL if importlib.util.find_spec(name) is None]
    record.report("packages that are not here", ", ".join(missing) or "none")
    record.report("cores", f"{len(os.sched_getaffinity(0))}, {platform.platform()}")


def card(record):
    if not record.check("a GPU", torch.cuda.is_available(), f"CUDA {torch.version.cuda}"):
        return
    properties = torch.cuda.get_device_properties(0)
    record.fact("card", properties.name)
    record.report(
        "card",
        f"{properties.name}, {properties.total_memory / 1e9:.1f} GB, "
        f"{properties.multi_processor_count} multiprocessors, compute capability "
        f"{properties.major}.{properties.minor}, driver {driver()}, "
        f"cuDNN {torch.backends.cudnn.version()}",
    )
    free, total = torch.cuda.mem_get_info()
    record.report("memory", f"{free / 1e9:.1f} of {total / 1e9:.1f} GB free")


def driver():
    try:
        command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=15)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown (no nvidia-smi)"
    return done.stdout.strip() or "unknown"


def first_net(record):
    """A net of one layer, so that a broken set-up shows here."""
    spec = caffe.NetSpec()
    spec.x = caffe.layers.Input(input_param={"shape": {"dim": [2, 3]}})
    spec.y = caffe.layers.Power(spec.x, power=2.0, scale=3.0)
    param = spec.to_proto()
    param.state.phase = caffe.TEST
    net = caffe.Net.from_param(param)
    net.blobs["x"].data[...] = [[1, 2, 3], [4, 5, 6]]
    net.forward()
    found = net.blobs["y"].data
    expected = [[9, 36, 81], [144, 225, 324]]
    record.check("a net of one layer runs", (found == expected).all(), f"{found.tolist()}")


def switches(record):
    """TF32 must be off everywhere in the default precision, whatever the environment says."""
    set_ones = {name: os.environ[name] for name in VARIABLES if name in os.environ}
    record.report(
        "variables that override switches",
        ", ".join(f"{n}={v}" for n, v in set_ones.items()) or "none is set",
    )
    on = []
    if torch.backends.cuda.matmul.allow_tf32:
        on.append("cuda.matmul.allow_tf32")
    if torch.backends.cudnn.allow_tf32:
        on.append("cudnn.allow_tf32")
    if record.options.device == "gpu":
        override = os.environ.get("NVIDIA_TF32_OVERRIDE")
        record.check(
            "TF32 is off by default", not on and override != "1", ", ".join(on) or "all off"
        )
    else:
        record.report("TF32 switches that are on", ", ".join(on) or "none")
