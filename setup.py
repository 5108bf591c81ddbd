"""Builds the native kernels (src/caffe/native) where a C compiler for them is at hand.

Everything works without them: installing needs no compiler.  pyproject.toml has all the rest.
"""

import copy
import glob
import hashlib
import pathlib
import platform
import sys

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

FLAGS = ["-O3", "-g0", "-std=gnu11", "-fno-math-errno", "-mfma", "-mprfchw"]
AVX512 = [*FLAGS, "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl"]
# What src/caffe/native asks the processor for before it loads the kernels of a kind.
KINDS = {
    "amx": [*AVX512, "-mamx-tile", "-mamx-bf16"],
    "avx512": AVX512,
    "avx2": [*FLAGS, "-mavx2"],
}


def of_sources(files: list[str]) -> str:
    """What tells whether kernels were built from these files: caffe.native computes it again."""
    found = hashlib.sha256()
    for file in map(pathlib.Path, files):
        found.update(file.name.encode() + file.read_bytes())
    return found.hexdigest()[:16]


def kernels() -> list[Extension]:
    if sys.platform != "linux" or platform.machine() not in ("x86_64", "AMD64"):
        return []
    sources = sorted(glob.glob("src/caffe/native/c/*.c"))
    headers = sorted(glob.glob("src/caffe/native/c/*.h"))
    return [
        Extension(
            f"caffe.native._kernels_{kind}",
            sources,
            depends=headers,
            extra_compile_args=flags,
            define_macros=[("KERNELS_SOURCES", f'"{of_sources(sources + headers)}"')],
            libraries=["m"],
            py_limited_api=True,  # it is a plain library: nothing of Python's is in it
            optional=True,
        )
        for kind, flags in KINDS.items()
    ]


class BuildKinds(build_ext):
    """Builds the kinds side by side: the same sources, so each in a folder of its own."""

    def run(self) -> None:
        # What an earlier version left in the folder that is installed from.
        native = pathlib.Path(self.build_lib, "caffe", "native")
        for stale in [*native.glob("_kernels*"), *native.glob("c/*")]:
            stale.unlink()
        super().run()

    def build_extension(self, ext: Extension) -> None:
        mine = copy.copy(self)
        mine.build_temp = str(pathlib.Path(self.build_temp) / ext.name)
        super(BuildKinds, mine).build_extension(ext)


if __name__ == "__main__":
    setup(
        ext_modules=kernels(),
        cmdclass={"build_ext": BuildKinds},
        options={"bdist_wheel": {"py_limited_api": "cp310"}, "build_ext": {"parallel": 2}}
        if kernels()
        else {},
    )
