"""Kernels in C for processors with AVX2: a stretch of an inference net as one call.

The kernels are built when the package is installed, where a C compiler is at hand (setup.py), and
used on Linux where the processor has what they need.  Without them everything runs on PyTorch's
kernels; :func:`why_not` says what is missing.

They are built once for each of :data:`KINDS`, which differ in how they multiply matrices:

- ``amx``: on tiles, which multiply bfloat16 numbers and sum in float32.  Each float32 number is the
  exact sum of three bfloat16 numbers, and of the nine products of two such sums the six largest
  are computed: what is left out is below float32's rounding (2^-24 of the product).  So results
  have float32's accuracy, at up to twice the speed of AVX-512's multiplications.
- ``avx512``: by AVX-512's multiplications, on processors without tiles.
- ``avx2``: by AVX2's, on processors without AVX-512.  A vector of sixteen numbers is two registers
  there, and a block of sums is smaller.

The first kind that the processor has is used.  ``CAFFE_NATIVE`` in the environment names another
one, or the path of a library to load in its place, which is then not checked; ``CAFFE_NATIVE=0``
turns the kernels off.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
from pathlib import Path
from typing import NamedTuple

import torch

from caffe.errors import Error

__all__ = ["KINDS", "available", "kind", "library", "needed", "passed_over", "why_not"]

_AVX512 = "avx512f", "avx512bw", "avx512dq", "avx512vl", "fma"
#: What each kind needs of the processor, by the names of /proc/cpuinfo; the fastest kind first.
KINDS = {
    "amx": (*_AVX512, "amx_tile", "amx_bf16"),
    "avx512": _AVX512,
    "avx2": ("avx2", "fma"),
}


def available() -> bool:
    """Whether the kernels can be used in this process."""
    return library() is not None


def why_not() -> str:
    """What is missing where :func:`available` is False, as one clause; empty where nothing is."""
    return _load().why_not


def passed_over() -> tuple[str, ...]:
    """Why no faster kind is loaded than :func:`kind`, one clause for each; empty for the fastest,
    and where none is."""
    return _load().passed_over


def kind() -> str:
    """Which of :data:`KINDS` is loaded; empty where none is."""
    kernels = library()
    return "" if kernels is None else _kind_of(kernels)


def library() -> ctypes.CDLL | None:
    """The loaded kernels, None where they cannot be used."""
    return _load().kernels


def needed() -> ctypes.CDLL:
    """The loaded kernels; raises :class:`caffe.Error` where they cannot be used."""
    kernels = library()
    if kernels is None:
        raise Error(f"the native kernels cannot be used: {why_not()}")
    return kernels


class _Loaded(NamedTuple):
    kernels: ctypes.CDLL | None
    why_not: str  # empty where they are loaded
    passed_over: tuple[str, ...] = ()  # why no faster kind is, each with its name


@functools.cache
def _load() -> _Loaded:
    wanted = os.environ.get("CAFFE_NATIVE", "")
    if wanted == "0":
        return _Loaded(None, "CAFFE_NATIVE=0 turns them off")
    if "/" in wanted:
        return _load_file(Path(wanted), of_sources=False)
    if wanted not in ("", "1", *KINDS):
        raise Error(
            f"CAFFE_NATIVE={wanted} is none of 0 (no native kernels), 1 (the fastest kind), "
            f"{', '.join(KINDS)} and the path of a library"
        )
    found, passed = _Loaded(None, ""), []
    for name in [wanted] if wanted in KINDS else KINDS:
        found = _load_kind(name)
        if found.kernels is not None:
            break
        passed.append(f"not {name}: {found.why_not}")
    return found._replace(passed_over=tuple(passed) if found.kernels is not None else ())


def _load_kind(name: str) -> _Loaded:
    files = {k: next(Path(__file__).parent.glob(f"_kernels_{k}.*so"), None) for k in KINDS}
    file = files[name]
    if file is None and any(files.values()):
        return _Loaded(None, f"{name} was not built: the C compiler may not know it")
    if file is None:
        return _Loaded(None, "they were not built: installing found no C compiler for x86-64 Linux")
    lacking = [flag for flag in KINDS[name] if flag not in _processor_flags()]
    if lacking:
        return _Loaded(None, f"the processor lacks {', '.join(lacking)}")
    return _load_file(file)


def _load_file(file: Path, of_sources: bool = True) -> _Loaded:
    try:
        threads = _openmp()
        kernels = ctypes.CDLL(str(file))
    except OSError as error:
        return _Loaded(None, f"{file.name} cannot be loaded: {error}")
    if threads is None:
        return _Loaded(None, "PyTorch's OpenMP library (libgomp) was not found")
    if of_sources and not _is_current(kernels):
        return _Loaded(
            None,
            f"{file.name} is older than its sources: install the package again, or run "
            "python setup.py build_ext --inplace",
        )
    if not hasattr(kernels, "kernels_start"):
        return _Loaded(None, f"{file.name} is no library of native kernels")
    functions = threads.GOMP_parallel, threads.omp_get_num_threads
    if kernels.kernels_start(*(ctypes.cast(f, ctypes.c_void_p) for f in functions)) != 0:
        return _Loaded(None, "the kernel of the operating system does not let processes use AMX")
    return _Loaded(kernels, "")


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
