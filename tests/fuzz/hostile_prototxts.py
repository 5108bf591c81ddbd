"""Prototxts that ask for the impossible: each is taken or ends in one caffe.Error, in time.

    python tests/fuzz/hostile_prototxts.py [--step 1]

Numbers that are zero, negative, huge, infinite or no number in every place where a size is read;
products beyond 2^31 and 2^63; kernels larger than the input; nets of very many layers, names of a
megabyte, deep braces. Memory is limited to 3 GiB beyond the start and each net to 20 seconds.
Prints how many were tried; the exit status is 1 if one ended otherwise.
"""

import argparse
import contextlib
import io
import itertools
import os
import resource
import signal
import sys
import tempfile
import time
import warnings
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2] / "src")]

import caffe  # noqa: E402

SECONDS = 20
ROOM = 3 << 30
INPUT = (
    'layer { name: "x" type: "Input" top: "x" input_param { '
    "shape { dim: 1 dim: 3 dim: 7 dim: 9 } } }\n"
)
NUMBERS = ("0", "-1", "2147483647", "2147483648", "4294967295", "9223372036854775807")
REALS = ("nan", "inf", "-inf", "1e39", "-1", "0")

# (layer type, the settings with a place for one number)
SETTINGS = [
    ("Convolution", "convolution_param { num_output: %s kernel_size: 3 }"),
    ("Convolution", "convolution_param { num_output: 2 kernel_size: %s }"),
    ("Convolution", "convolution_param { num_output: 2 kernel_size: 3 stride: %s }"),
    ("Convolution", "convolution_param { num_output: 2 kernel_size: 3 pad: %s }"),
    ("Convolution", "convolution_param { num_output: 2 kernel_size: 3 dilation: %s }"),
    ("Convolution", "convolution_param { num_output: 2 kernel_size: 3 group: %s }"),
    ("Deconvolution", "convolution_param { num_output: 2 kernel_size: 3 stride: %s }"),
    ("Deconvolution", "convolution_param { num_output: 2 kernel_size: %s }"),
    ("Deconvolution", "convolution_param { num_output: %s kernel_size: 1 }"),
    ("Pooling", "pooling_param { kernel_size: %s }"),
    ("Pooling", "pooling_param { kernel_size: 2 stride: %s }"),
    ("Pooling", "pooling_param { kernel_size: 2 pad: %s }"),
    ("InnerProduct", "inner_product_param { num_output: %s }"),
    ("InnerProduct", "inner_product_param { num_output: 2 axis: %s }"),
    ("LRN", "lrn_param { local_size: %s }"),
    ("Tile", "tile_param { tiles: %s }"),
    ("Reshape", "reshape_param { shape { dim: %s } }"),
    ("Reshape", "reshape_param { shape { dim: -1 dim: %s } }"),
    ("Slice", "slice_param { slice_point: %s }"),
    ("SPP", "spp_param { pyramid_height: %s }"),
    ("Flatten", "flatten_param { axis: %s }"),
    ("ArgMax", "argmax_param { top_k: %s }"),
    ("Im2col", "convolution_param { kernel_size: %s }"),
    ("Parameter", "parameter_param { shape { dim: %s dim: 3 } }"),
    ("DummyData", "dummy_data_param { shape { dim: %s } }"),
    ("DummyData", "dummy_data_param { shape { dim: 65536 dim: 65536 dim: %s } }"),
    ("Embed", "embed_param { num_output: 2 input_dim: %s }"),
]
REAL_SETTINGS = [
    ("Dropout", "dropout_param { dropout_ratio: %s }"),
    ("Power", "power_param { power: %s scale: %s shift: %s }"),
    ("Exp", "exp_param { base: %s }"),
    ("Log", "log_param { base: %s }"),
    ("ELU", "elu_param { alpha: %s }"),
    ("BatchNorm", "batch_norm_param { eps: %s }"),
    ("LRN", "lrn_param { alpha: %s beta: %s k: %s }"),
    ("Threshold", "threshold_param { threshold: %s }"),
    (
        "InnerProduct",
        'inner_product_param { num_output: 2 weight_filler { type: "gaussian" std: %s } }',
    ),
    (
        "InnerProduct",
        'inner_product_param { num_output: 2 weight_filler { type: "uniform" min: 0 max: %s } }',
    ),
]
WITHOUT_BOTTOM = ("Parameter", "DummyData")


def cases():
    """[(what, text)]"""
    for (kind, text), number in itertools.product(SETTINGS, NUMBERS):
        yield f"{kind}: {text % number}", net(kind, text % number)
    for (kind, text), number in itertools.product(REAL_SETTINGS, REALS):
        filled = text.replace("%s", number)
        yield f"{kind}: {filled}", net(kind, filled)
    for number in NUMBERS:
        shape = f"shape {{ dim: {number} dim: 3 }}"
        yield f"Input {number}", f'layer {{ type: "Input" top: "x" input_param {{ {shape} }} }}'
        yield f"input_dim {number}", f'input: "x" input_dim: {number} input_dim: 3'
    many = "".join(
        f'layer {{ name: "r{i}" type: "ReLU" bottom: "x" top: "x" }}\n' for i in range(4000)
    )
    yield "4000 layers", INPUT + many
    yield "a name of a megabyte", net("ReLU", "").replace('"y"', '"' + "y" * (1 << 20) + '"')
    yield "deep braces", "layer { " * 20000
    yield "deep groups", "layer { include { " * 5000 + "} } " * 5000
    yield "many shapes", "input: 'x' " + "input_shape { dim: 1 } " * 20000
    yield "a layer of its own output", 'layer { type: "ReLU" bottom: "x" top: "x" }'
    yield "a zero byte", INPUT + "\0"
    yield "no text", "\xff\xfe\x00"
    for dims in ("dim: 1 " * 33, "dim: 65536 " * 4, "dim: 4294967296 dim: 4294967296"):
        yield (
            f"shape {dims[:40]}",
            f"layer {{ type: 'Input' top: 'x' input_param {{ shape {{ {dims}}} }} }}",
        )


def net(kind, settings):
    bottom = "" if kind in WITHOUT_BOTTOM else 'bottom: "x"'
    return INPUT + f'layer {{ name: "y" type: "{kind}" {bottom} top: "y" {settings} }}\n'


class Late(BaseException):
    pass


@contextlib.contextmanager
def in_time():
    def ring(number, frame):
        raise Late

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def outcome(path):
    """'taken', 'refused', or what went wrong."""
    begun = time.monotonic()
    try:
        with in_time(), contextlib.redirect_stderr(io.StringIO()):
            made = caffe.Net(path, caffe.TEST)
            if sum(blob.data.size for blob in made.blobs.values()) < 1 << 20:
                made.forward()
        return "taken"
    except caffe.Error as error:
        told = str(error)
        return "refused" if len(told) < 5000 and told else f"a message of {len(told)} characters"
    except (MemoryError, RuntimeError) as error:
        # Valid, but larger than the memory: PyTorch and NumPy say how much was asked for.
        if isinstance(error, MemoryError) or "memory" in str(error) or "bytes" in str(error):
            return "too large"
        return f"{type(error).__name__}: {error}"
    except Late:
        return f"not done after {time.monotonic() - begun:.0f} s"
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def run(step=1):
    """({outcome: count}, [what was wrong])"""
    import torch  # noqa: F401  (in time: on a busy machine it takes longer than a file may)

    counts, wrong = {}, []
    used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, resource.RLIM_INFINITY))
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "net.prototxt")
        for what, text in itertools.islice(cases(), 0, None, step):
            Path(path).write_text(text, encoding="latin-1")
            result = outcome(path)
            if result in ("taken", "refused", "too large"):
                counts[result] = counts.get(result, 0) + 1
            else:
                wrong.append(f"{what[:150]}: {result[:300]}")
    return counts, wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--step", type=int, default=1, help="try every so many-th")
    counts, wrong = run(parser.parse_args().step)
    print(f"{sum(counts.values()) + len(wrong)} prototxts: {counts}")
    for line in wrong:
        print(line)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
