"""Kernels in C for processors with AVX-512: a stretch of an inference net as one call.

The kernels are built when the package is installed, where a C compiler is at hand (setup.py), and
used on Linux where the processor has what they need.  Without them everything runs on PyTorch's
kernels; :func:`why_not` says what is missing.

They are built once for each of :data:`KINDS`, which differ in how they multiply matrices:

- ``amx``: on tiles, which multiply bfloat16 numbers and sum in float32.  Each float32 number is the
  exact sum of three bfloat16 numbers, and of the nine products of two such sums the six largest
  are computed: what is left out is below float32's rounding (2^-24 of the product).  So results
  have float32's accuracy, at up to twice the speed of AVX-512's multiplications.
- ``avx512``: by AVX-512's multiplications, on processors without tiles.

The first kind that the processor has is used.  ``CAFFE_NATIVE`` in the environment names another
one, or the file of a library to load in its place; ``CAFFE_NATIVE=0`` turns the kernels off.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
from pathlib import Path

import torch

from caffe.errors import Error

__all__ = ["KINDS", "available", "kind", "library", "needed", "why_not"]

_AVX512 = "avx512f", "avx512bw", "avx512dq", "avx512vl", "fma"
#: What each kind needs of the processor, by the names of /proc/cpuinfo; the fastest kind first.
KINDS = {"amx": (*_AVX512, "amx_tile", "amx_bf16"), "avx512": _AVX512}


def available() -> bool:
    """Whether the kernels can be used in this process."""
    return library() is not None


def why_not() -> str:
    """What is missing where :func:`available` is False, as one clause; empty where nothing is."""
    return _load()[1]


def kind() -> str:
    """Which of :data:`KINDS` is loaded; empty where none is."""
    kernels = library()
    return "" if kernels is None else _kind_of(kernels)


def library() -> ctypes.CDLL | None:
    """The loaded kernels, None where they cannot be used."""
    return _load()[0]


def needed() -> ctypes.CDLL:
    """The loaded kernels; raises :class:`caffe.Error` where they cannot be used."""
    kernels = library()
    if kernels is None:
        raise Error(f"the native kernels cannot be used: {why_not()}")
    return kernels


@functools.cache
def _load() -> tuple[ctypes.CDLL | None, str]:
    wanted = os.environ.get("CAFFE_NATIVE", "")
    if wanted == "0":
        return None, "CAFFE_NATIVE=0 turns them off"
    threads = _openmp()
    if threads is None:
        return None, "PyTorch's OpenMP library (libgomp) was not found"
    if "/" in wanted:
        return _load_file(Path(wanted), threads, of_sources=False)
    if wanted and wanted not in KINDS:
        return None, f"CAFFE_NATIVE={wanted} is none of 0, {', '.join(KINDS)} and a library's path"
    kernels, why = None, ""
    for name in [wanted] if wanted else KINDS:
        kernels, why = _load_kind(name, threads)
        if kernels is not None:
            break
    return kernels, why


def _load_kind(name: str, threads: ctypes.CDLL) -> tuple[ctypes.CDLL | None, str]:
    files = {k: next(Path(__file__).parent.glob(f"_kernels_{k}.*so"), None) for k in KINDS}
    file = files[name]
    if file is None and any(files.values()):
        return None, f"{name} was not built: the C compiler does not know it"
    if file is None:
        return None, "they were not built: installing found no C compiler for x86-64 Linux"
    lacking = [flag for flag in KINDS[name] if flag not in _processor_flags()]
    if lacking:
        return None, f"the processor lacks {', '.join(lacking)}"
    return _load_file(file, threads)


def _load_file(
    file: Path, threads: ctypes.CDLL, of_sources: bool = True
) -> tuple[ctypes.CDLL | None, str]:
    try:
        kernels = ctypes.CDLL(str(file))
    except OSError as error:
        return None, f"{file.name} cannot be loaded: {error}"
    if of_sources and not _is_current(kernels):
        return None, (
            f"{file.name} is older than its sources: install the package again, or run "
            "python setup.py build_ext --inplace"
        )
    functions = threads.GOMP_parallel, threads.omp_get_num_threads
    if kernels.kernels_start(*(ctypes.cast(f, ctypes.c_void_p) for f in functions)) != 0:
        return None, "the kernel of the operating system does not let processes use AMX"
    return kernels, ""


@functools.lru_cache(maxsize=4)  # layers ask in each pass
def _kind_of(kernels: ctypes.CDLL) -> str:
    kernels.kernels_kind.restype = ctypes.c_char_p
    name: bytes = kernels.kernels_kind()
    return name.decode()


def _is_current(kernels: ctypes.CDLL) -> bool:
    """Whether the kernels come from the sources beside them; an installed package has none."""
    folder = Path(__file__).parent / "c"
    files = sorted(folder.glob("*.c")) + sorted(folder.glob("*.h"))
    if not files:
        return True
    found = hashlib.sha256()
    for source in files:
        found.update(source.name.encode() + source.read_bytes())
    try:
        kernels.kernels_sources.restype = ctypes.c_char_p
        built_from: bytes = kernels.kernels_sources()
    except AttributeError:
        return False
    return built_from.decode() == found.hexdigest()[:16]


def _processor_flags() -> frozenset[str]:
    if platform.system() != "Linux":
        return frozenset()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return frozenset()
    flags = next((line for line in lines if line.startswith("flags")), "")
    return frozenset(flags.split())


def _openmp() -> ctypes.CDLL | None:
    """The OpenMP library that PyTorch's threads come from."""
    root = Path(torch.__file__).parent
    for folder in (root / "lib", root.parent / "torch.libs"):
        for file in sorted(folder.glob("libgomp*.so*")):
            return ctypes.CDLL(str(file))
    return None
