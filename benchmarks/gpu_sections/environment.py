"""What runs: versions, the card, its driver, the switches that decide precision."""

import importlib
import importlib.util
import os
import platform
import subprocess

import torch

import caffe
from gpu_sections.machine import Machine, has, relative_error

PACKAGES = ("numpy", "scipy", "h5py", "google.protobuf", "PIL", "pytest", "hypothesis")
OPTIONAL = ("lmdb", "plyvel", "onnxruntime", "triton")
FLOAT32 = 2e-5  # ||error|| / ||product||: float32 is far below, TF32 near 3e-4
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
    """What the precisions really give, whatever the switches and the environment say."""
    set_ones = {name: os.environ[name] for name in VARIABLES if name in os.environ}
    record.report(
        "variables that override switches",
        ", ".join(f"{n}={v}" for n, v in set_ones.items()) or "none is set",
    )
    if record.options.device != "gpu":
        record.left_out("precision of products", "it is the CPU's")
        return
    with record.step("precision of products, by default"):
        exact(record, "by default", products())
    if has(record, "set_precision"):
        for name in ("tf32", "bf16", "fp32"):
            with record.step(f"precision of products, {name}"):
                caffe.set_precision(name)
                errors = products()
                if name == "fp32":
                    exact(record, "fp32 again", errors)
                else:
                    record.report(f"precision of float32 products, {name}", figures(errors))


def products():
    """{operation: relative error of a float32 product of PyTorch's against float64}."""
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(512, 512, generator=generator).cuda() for _ in range(2))
    x = torch.randn(1, 64, 56, 56, generator=generator).cuda()
    w = torch.randn(64, 64, 3, 3, generator=generator).cuda()
    convolve = torch.nn.functional.conv2d
    return {
        "matrix product": relative_error(a.double() @ b.double(), a @ b),
        "convolution": relative_error(convolve(x.double(), w.double()), convolve(x, w)),
    }


def figures(errors):
    return ", ".join(f"{name} {error:.1e}" for name, error in errors.items())


def exact(record, when, errors):
    holds = max(errors.values()) < FLOAT32
    record.check(f"precision of float32 products, {when}", holds, figures(errors))
