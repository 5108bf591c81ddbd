"""The kernels' tests with the kinds of native kernels that this processor does not choose, and
some without any.

Without tiles the kind for tiles is compiled with functions in their place (c/tiles_emulated.h):
once for these sources, kept in build/.
"""

import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from caffe import native

ROOT = Path(__file__).resolve().parents[3]
HERE = Path(__file__).resolve().parent
# Those of kernels that multiply matrices, and of what chooses among them; the others are the same
# in the kinds of a processor with AVX-512.
FILES = (
    "native/test_convolution_kernel.py", "native/test_deconvolution_kernel.py",
    "native/test_frame_kernel.py", "native/test_inner_product_kernel.py", "native/test_kept.py",
    "native/test_learning.py", "native/test_native_winograd.py", "native/test_program.py",
    "native/test_structures.py", "native/test_weight_gradient.py",
    "kernels/test_native_convolution.py", "net/test_native_layers.py", "net/test_native_stretch.py",
)  # fmt: skip
# Those of what asks whether there are kernels.
FILES_WITHOUT = (
    "kernels/test_winograd.py", "kernels/test_convolution.py", "kernels/ways",
    "layer/test_base_conv.py", "layer/test_convolution.py", "layer/test_deconvolution.py",
    "net/test_compiled_step.py", "net/test_direct_pass.py", "net/test_fused_step.py",
    "net/test_native_layers.py", "net/test_norm_step.py", "net/test_plan.py",
    "net/test_pooled_step.py",
)  # fmt: skip
CODE = """
import sys, pytest
from caffe import native
assert native.kind() == sys.argv[1], native.why_not()
sys.exit(pytest.main(["-x", "-p", "no:cacheprovider", *sys.argv[2:]]))
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.cpu_only,
    pytest.mark.skipif(not native.available(), reason=native.why_not() or "available"),
    pytest.mark.skipif(not shutil.which("gcc"), reason="needs gcc"),
]


def _emulated():
    """The path of the library of kind amx with emulated tiles."""
    setup = runpy.run_path(str(ROOT / "setup.py"))
    folder = ROOT / "src" / "caffe" / "native" / "c"
    sources, headers = (sorted(map(str, folder.glob(f"*.{end}"))) for end in "ch")
    current = setup["of_sources"](sources + headers)
    library = ROOT / "build" / "emulated-tiles" / f"{current}.so"
    if not library.exists():
        shutil.rmtree(library.parent, ignore_errors=True)
        library.parent.mkdir(parents=True)
        half = library.with_suffix(f".{os.getpid()}")
        flags = [
            *setup["KINDS"]["avx512"],
            "-O1",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-shared",
            "-fPIC",
        ]
        macros = ["-DTILES_EMULATED", f'-DKERNELS_SOURCES="{current}"']
        command = ["gcc", *flags, *macros, *sources, "-lm", "-lpthread", "-o", str(half)]
        done = subprocess.run(command, text=True, capture_output=True)
        assert done.returncode == 0, done.stderr
        half.replace(library)
    return library


def _tests(kind, environment, *given):
    """How many tests passed in a process of their own, where the kernels are of this kind."""
    environment = {**os.environ, **environment}
    environment.pop("PYTEST_ADDOPTS", None)
    command = [sys.executable, "-c", CODE, kind, *given]
    done = subprocess.run(command, cwd=ROOT, env=environment, text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return int(re.search(r"(\d+) passed", done.stdout)[1]), done.stdout


@pytest.mark.parametrize("kind", ["amx", "avx512"])
def test_another_kind_passes_the_same_tests(kind):
    has = set(native.KINDS[kind]) <= native._processor_flags()
    if kind == native.kind() or not set(native.KINDS["avx512"]) <= native._processor_flags():
        pytest.skip("it is the processor's own kind, or one that this cannot run")
    library = kind if has else str(_emulated())
    files = [str(HERE.parent / name) for name in FILES]
    passed, _ = _tests(kind, {"CAFFE_NATIVE": library}, "--few", "8", *files)
    assert passed > 100


@pytest.mark.skipif(native.kind() == "avx2", reason="it is the processor's own kind")
def test_the_kind_without_avx512_passes_the_same_tests():
    """In it every vector is another thing: all tests of kernels."""
    files = [str(HERE), *(str(HERE.parent / name) for name in FILES if "native/" not in name)]
    few = "--few", "2", "-m", "not slow and not data"
    passed, _ = _tests("avx2", {"CAFFE_NATIVE": "avx2"}, *few, *files)
    assert passed > 200


@pytest.mark.skipif(not shutil.which("objdump"), reason="needs objdump")
def test_the_kind_without_avx512_has_none_of_its_instructions():
    library = next(Path(native.__file__).parent.glob("_kernels_avx2.*so"))
    command = ["objdump", "-d", "--no-show-raw-insn", str(library)]
    code = subprocess.run(command, text=True, capture_output=True, check=True).stdout
    assert "%ymm" in code
    assert not re.search(r"%zmm|%[xy]mm(1[6-9]|2\d|3[01])|%k[0-7]|\{%k", code)


def test_without_kernels_the_layers_pass_their_tests():
    files = [str(HERE.parent / name) for name in FILES_WITHOUT]
    given = "--few", "4", "--everywhere", "cpu", *files
    passed, _ = _tests("", {"CAFFE_NATIVE": "0"}, *given)
    assert passed > 100
