"""The native kernels load where they can, and say why where they cannot."""

import os
import pathlib
import runpy
import shutil
import subprocess
import sys

import pytest

from caffe import native


def test_they_are_available_or_say_why_not():
    assert native.available() == (native.why_not() == "")


def _in_a_process(**environment):
    code = "from caffe import native; print(native.available(), native.why_not())"
    command = [sys.executable, "-c", code]
    environment = {**os.environ, **environment}
    done = subprocess.run(command, env=environment, text=True, capture_output=True, check=True)
    return done.stdout


@pytest.mark.slow
def test_the_environment_turns_them_off():
    assert _in_a_process(CAFFE_NATIVE="0") == "False CAFFE_NATIVE=0 turns them off\n"


def test_a_processor_without_tiles_is_named(monkeypatch, tmp_path):
    monkeypatch.delenv("CAFFE_NATIVE", raising=False)
    monkeypatch.setattr(native, "_processor_flags", lambda: frozenset({"avx512f", "fma"}))
    monkeypatch.setattr(native, "__file__", str(tmp_path / "__init__.py"))
    (tmp_path / "_kernels.abi3.so").touch()
    kernels, why = native._load.__wrapped__()
    assert kernels is None
    assert "amx_tile" in why and "avx512f" not in why


def test_a_missing_library_is_named(monkeypatch, tmp_path):
    monkeypatch.delenv("CAFFE_NATIVE", raising=False)
    monkeypatch.setattr(native, "__file__", str(tmp_path / "__init__.py"))
    assert native._load.__wrapped__() == (
        None, "they were not built: installing found no C compiler for x86-64 Linux"
    )  # fmt: skip


def test_a_library_that_cannot_be_loaded_is_named(monkeypatch, tmp_path):
    monkeypatch.delenv("CAFFE_NATIVE", raising=False)
    monkeypatch.setattr(native, "_processor_flags", lambda: frozenset(native._NEEDED))
    monkeypatch.setattr(native, "__file__", str(tmp_path / "__init__.py"))
    (tmp_path / "_kernels.abi3.so").write_text("not a library")
    kernels, why = native._load.__wrapped__()
    assert kernels is None
    assert why.startswith("_kernels.abi3.so cannot be loaded: ")


@pytest.mark.skipif(not shutil.which("gcc"), reason="needs gcc")
def test_the_compiler_has_no_complaints():
    root = pathlib.Path(__file__).parents[3]
    sources = sorted((root / "src" / "caffe" / "native" / "c").glob("*.c"))
    flags = runpy.run_path(str(root / "setup.py"))["FLAGS"]
    command = ["gcc", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", *flags, *map(str, sources)]
    done = subprocess.run(command, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not native.available(), reason=native.why_not() or "available")
def test_kernels_older_than_their_sources_are_not_used(monkeypatch, tmp_path):
    home = pathlib.Path(native.__file__).parent
    shutil.copytree(home / "c", tmp_path / "c")
    for library in home.glob("_kernels*.so"):
        shutil.copy(library, tmp_path)
    monkeypatch.setattr(native, "__file__", str(tmp_path / "__init__.py"))
    assert native._load.__wrapped__()[1] == ""
    with (tmp_path / "c" / "native.h").open("a") as header:
        header.write("/* new */")
    kernels, why = native._load.__wrapped__()
    assert kernels is None
    assert "is older than its sources: install the package again" in why
    shutil.rmtree(tmp_path / "c")  # as where a wheel was installed
    assert native._load.__wrapped__()[1] == ""
