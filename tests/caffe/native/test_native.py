"""The native kernels load where they can, and say why where they cannot."""

import os
import pathlib
import runpy
import shutil
import subprocess
import sys

import pytest

import caffe
from caffe import native

ROOT = pathlib.Path(__file__).parents[3]
needs_gcc = pytest.mark.skipif(not shutil.which("gcc"), reason="needs gcc")


def test_they_are_available_or_say_why_not():
    assert native.available() == (native.why_not() == "")


NET = """
layer { name: "data" type: "Input" top: "data"
        input_param { shape { dim: 1 dim: 16 dim: 24 dim: 24 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
        convolution_param { num_output: 16 kernel_size: 3 pad: 1 } }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool"
        pooling_param { kernel_size: 2 stride: 2 } }
layer { name: "ip" type: "InnerProduct" bottom: "pool" top: "ip"
        inner_product_param { num_output: 5 } }
"""
CODE = """
import sys, caffe
from caffe import native
net = caffe.Net(sys.argv[1], caffe.TEST)
for _ in range(25):
    net.forward()
print(native.available(), native.why_not(), native.kind() or "no kind")
"""


@pytest.mark.slow
def test_the_environment_turns_them_off_and_nets_run(tmp_path):
    (tmp_path / "net.prototxt").write_text(NET)
    command = [sys.executable, "-c", CODE, str(tmp_path / "net.prototxt")]
    environment = {**os.environ, "CAFFE_NATIVE": "0"}
    done = subprocess.run(command, env=environment, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "False CAFFE_NATIVE=0 turns them off no kind\n"


@pytest.fixture
def installed(monkeypatch, tmp_path):
    """An installation without kernels, on a processor that has what every kind needs."""
    monkeypatch.delenv("CAFFE_NATIVE", raising=False)
    monkeypatch.setattr(native, "__file__", str(tmp_path / "__init__.py"))
    _set_processor(monkeypatch, *native.KINDS)
    return tmp_path


def _set_processor(monkeypatch, *kinds):
    """Let the processor have what these kinds need, nothing else."""
    flags = frozenset(flag for kind in kinds for flag in native.KINDS[kind])
    monkeypatch.setattr(native, "_processor_flags", lambda: flags)


def _build(folder, kind, allowed=True):
    """A library that says of which kind it is, and whether the system lets it run."""
    source = folder / f"{kind}.c"
    source.write_text(
        f'const char *kernels_kind(void) {{ return "{kind}"; }}\n'
        f"int kernels_start(void *a, void *b) {{ return a && b && {int(allowed)} ? 0 : -1; }}\n"
    )
    library = folder / f"_kernels_{kind}.abi3.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source], check=True)
    return library


def _loaded():
    """The kind that is loaded, or why none is."""
    found = native._load.__wrapped__()
    assert (found.kernels is None) == bool(found.why_not)
    return found.why_not if found.kernels is None else native._kind_of(found.kernels)


def test_the_kinds_are_those_that_are_built():
    assert list(native.KINDS) == list(runpy.run_path(str(ROOT / "setup.py"))["KINDS"])


@needs_gcc
def test_the_best_kind_is_loaded_that_the_processor_has(installed, monkeypatch):
    for kind in native.KINDS:
        _build(installed, kind)
    assert _loaded() == "amx"
    _set_processor(monkeypatch, "avx512")
    assert _loaded() == "avx512"
    _set_processor(monkeypatch, "avx2")
    assert _loaded() == "avx2"
    lacking = "the processor lacks avx512f, avx512bw, avx512dq, avx512vl"
    passed_over = native._load.__wrapped__().passed_over
    assert passed_over[1] == f"not avx512: {lacking}"
    monkeypatch.setattr(native, "_processor_flags", lambda: frozenset({"avx", "fma"}))
    assert _loaded() == "the processor lacks avx2"


@needs_gcc
def test_a_kind_is_loaded_on_request(installed, monkeypatch):
    for kind in native.KINDS:
        _build(installed, kind)
        monkeypatch.setenv("CAFFE_NATIVE", kind)
        assert _loaded() == kind
    _set_processor(monkeypatch, "avx512")
    monkeypatch.setenv("CAFFE_NATIVE", "amx")
    assert _loaded() == "the processor lacks amx_tile, amx_bf16"


@needs_gcc
def test_a_system_that_refuses_amx_gets_the_next_kind(installed, monkeypatch):
    _build(installed, "amx", allowed=False)
    _build(installed, "avx512")
    assert _loaded() == "avx512"
    refused = "the kernel of the operating system does not let processes use AMX"
    assert native._load.__wrapped__().passed_over == (f"not amx: {refused}",)
    monkeypatch.setenv("CAFFE_NATIVE", "amx")
    assert _loaded() == refused


@needs_gcc
def test_a_kind_that_the_compiler_did_not_know_is_done_without(installed, monkeypatch):
    _build(installed, "avx512")
    assert _loaded() == "avx512"
    monkeypatch.setenv("CAFFE_NATIVE", "amx")
    assert _loaded() == "amx was not built: the C compiler may not know it"


@needs_gcc
def test_a_library_is_loaded_by_its_path(installed, monkeypatch, tmp_path_factory):
    library = _build(tmp_path_factory.mktemp("elsewhere"), "amx")
    monkeypatch.setattr(native, "_processor_flags", lambda: frozenset())
    monkeypatch.setenv("CAFFE_NATIVE", str(library))
    assert _loaded() == "amx"
    monkeypatch.setenv("CAFFE_NATIVE", str(installed / "missing.so"))
    assert _loaded().startswith("missing.so cannot be loaded: ")


@needs_gcc
def test_a_library_of_something_else_is_told(installed, monkeypatch):
    source = installed / "other.c"
    source.write_text("int other;\n")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", installed / "other.so", source], check=True)
    monkeypatch.setenv("CAFFE_NATIVE", str(installed / "other.so"))
    assert _loaded() == "other.so is no library of native kernels"


@needs_gcc
def test_one_asks_for_the_fastest_kind(installed, monkeypatch):
    _build(installed, "amx")
    monkeypatch.setenv("CAFFE_NATIVE", "1")
    assert _loaded() == "amx" and native._load.__wrapped__().passed_over == ()


@pytest.mark.parametrize("name", ["sse4", "AVX512", "on", "mine.so"])
def test_a_name_that_is_no_kind_is_an_error(installed, monkeypatch, name):
    monkeypatch.setenv("CAFFE_NATIVE", name)
    with pytest.raises(
        caffe.Error, match=f"CAFFE_NATIVE={name} is none of 0 .*amx, avx512, avx2 and"
    ):
        native._load.__wrapped__()


def test_a_missing_library_is_named(installed):
    assert _loaded() == "they were not built: installing found no C compiler for x86-64 Linux"


def test_a_library_that_cannot_be_loaded_is_named(installed):
    for kind in native.KINDS:
        (installed / f"_kernels_{kind}.abi3.so").write_text("not a library")
    assert _loaded().startswith("_kernels_avx2.abi3.so cannot be loaded: ")


@needs_gcc
@pytest.mark.parametrize("kind", native.KINDS)
def test_the_compiler_has_no_complaints(kind):
    flags = runpy.run_path(str(ROOT / "setup.py"))["KINDS"][kind]
    sources = sorted((ROOT / "src" / "caffe" / "native" / "c").glob("*.c"))
    command = ["gcc", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", *flags, *map(str, sources)]
    done = subprocess.run(command, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr


def test_one_header_looks_at_what_is_compiled():
    sources = (ROOT / "src" / "caffe" / "native" / "c").iterdir()
    assert [s.name for s in sources if "__AMX_TILE__" in s.read_text()] == ["kind.h"]


@pytest.mark.skipif(not native.available(), reason=native.why_not() or "available")
def test_kernels_older_than_their_sources_are_not_used(monkeypatch, tmp_path):
    monkeypatch.delenv("CAFFE_NATIVE", raising=False)
    home = pathlib.Path(native.__file__).parent
    shutil.copytree(home / "c", tmp_path / "c")
    for library in home.glob("_kernels*.so"):
        shutil.copy(library, tmp_path)
    monkeypatch.setattr(native, "__file__", str(tmp_path / "__init__.py"))
    assert native._load.__wrapped__().why_not == ""
    with (tmp_path / "c" / "native.h").open("a") as header:
        header.write("/* new */")
    found = native._load.__wrapped__()
    assert found.kernels is None
    assert "is older than its sources: install the package again" in found.why_not
    shutil.rmtree(tmp_path / "c")  # as where a wheel was installed
    assert native._load.__wrapped__().why_not == ""
