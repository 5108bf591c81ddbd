"""What pip installs: `import caffe`, nothing else, able to run a plain pycaffe script anywhere."""

import email
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import caffe
from caffe import _shadow, native

ROOT = Path(__file__).resolve().parents[1]

needs_gcc = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64" or not shutil.which("gcc"),
    reason="the native kernels are built with a C compiler on x86-64 Linux",
)

SCRIPT = """
import sys
import numpy as np
import caffe
from caffe import layers as L, params as P

assert caffe.__file__.startswith(sys.argv[1]), caffe.__file__

n = caffe.NetSpec()
n.data, n.label = L.DummyData(
    shape=[dict(dim=[8, 1, 12, 12]), dict(dim=[8])], ntop=2,
    data_filler=[dict(type='gaussian'), dict(type='constant', value=3)])
n.conv1 = L.Convolution(n.data, kernel_size=5, num_output=4, weight_filler=dict(type='xavier'))
n.pool1 = L.Pooling(n.conv1, kernel_size=2, stride=2, pool=P.Pooling.MAX)
n.relu1 = L.ReLU(n.pool1, in_place=True)
n.score = L.InnerProduct(n.relu1, num_output=10, weight_filler=dict(type='xavier'))
n.loss = L.SoftmaxWithLoss(n.score, n.label)
open('net.prototxt', 'w').write(str(n.to_proto()))
open('solver.prototxt', 'w').write(
    'train_net: "net.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 20 random_seed: 1 '
    'snapshot_prefix: "lenet"')
solver = caffe.SGDSolver('solver.prototxt')
solver.net.forward()
first = float(solver.net.blobs['loss'].data)
solver.step(20)
assert solver.iter == 20
assert solver.net.blobs['loss'].data < first / 2
solver.snapshot()
test = caffe.Net('net.prototxt', 'lenet_iter_20.caffemodel', caffe.TEST)
assert np.array_equal(test.params['conv1'][0].data, solver.net.params['conv1'][0].data)
print('ran', test.forward()['loss'])
"""


def copied(folder):
    """What goes into the distributions, without what was built: pip builds inside the folder that
    it is given, where another worker may be building at the same time."""
    for name in ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    built = shutil.ignore_patterns("_kernels_*", "__pycache__")
    shutil.copytree(ROOT / "src" / "caffe", folder / "src" / "caffe", ignore=built)
    return folder


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--no-deps",
            "--no-build-isolation",
            "--wheel-dir",
            str(folder),
            str(copied(tmp_path_factory.mktemp("copy"))),
        ],
        check=True,
    )
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """The source distribution, built without a network."""
    pytest.importorskip("build.__main__", reason="needs the package build")
    copy, out = copied(tmp_path_factory.mktemp("copy")), tmp_path_factory.mktemp("sdist")
    command = [sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", str(out)]
    done = subprocess.run([*command, str(copy)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "deprecated" not in done.stdout + done.stderr
    (path,) = out.glob("*.tar.gz")
    return path


def test_both_distributions_may_be_uploaded(wheel, source):
    pytest.importorskip("twine", reason="needs the package twine")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "twine", "check", "--strict", wheel, source],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("PASSED") == 2, done.stdout


def test_the_metadata_say_what_it_is(wheel, source):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [n for n in archive.namelist() if n.endswith(".dist-info/METADATA")]
        found = email.message_from_bytes(archive.read(name))
    assert found["Name"] == "pycaffe-torch" and found["License-Expression"] == "BSD-2-Clause"
    assert caffe.__engine__ == f"pycaffe-torch {found['Version']}"
    assert caffe.__version__ == "1.0.0"
    classifiers = found.get_all("Classifier")
    for minor in range(10, 15):
        assert f"Programming Language :: Python :: 3.{minor}" in classifiers
    assert {"onnx", "page", "video", "leveldb", "draw", "tensorboard"} <= set(
        found.get_all("Provides-Extra")
    )
    with tarfile.open(source) as archive:
        names = archive.getnames()
        folders = {name.split("/")[1] for name in names if "/" in name}
    assert "src" in folders and "tests" not in folders
    kernels = {path.name for path in (ROOT / "src" / "caffe" / "native" / "c").iterdir()}
    assert "native.h" in kernels
    assert kernels <= {name.split("/")[-1] for name in names}


@needs_gcc
def test_the_wheel_holds_the_native_kernels(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert not [n for n in names if n.startswith("caffe/native/c/")]  # their sources
    kernels = {n for n in names if n.startswith("caffe/native/_kernels")}
    assert kernels == {f"caffe/native/_kernels_{kind}.abi3.so" for kind in native.KINDS}
    assert "-cp310-abi3-linux_x86_64" in wheel.name


def _build_kernels(copy, compiler):
    """Build the kernels in a copy of what that takes; returns their names."""
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    done = subprocess.run(
        [sys.executable, "setup.py", "build_ext", "--inplace"],
        cwd=copy,
        env={**os.environ, "CC": str(compiler)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return {path.name for path in copy.rglob("_kernels*.so")}


def test_installing_needs_no_compiler(tmp_path):
    shutil.copytree(
        ROOT / "src" / "caffe" / "native",
        tmp_path / "src" / "caffe" / "native",
        ignore=shutil.ignore_patterns("_kernels*.so"),
    )
    assert not _build_kernels(tmp_path, tmp_path / "no-compiler")


@needs_gcc
def test_what_an_older_version_built_is_not_installed(tmp_path):
    sources = tmp_path / "src" / "caffe" / "native" / "c"
    sources.mkdir(parents=True)
    (sources / "small.c").write_text("int kernels_small;\n")
    built = tmp_path / "built"
    stale = built / "caffe" / "native" / "_kernels.abi3.so"
    source = stale.parent / "c" / "older.c"  # was installed once, and told that kernels are old
    source.parent.mkdir(parents=True)
    stale.touch()
    source.touch()
    shutil.copy(ROOT / "setup.py", tmp_path)
    command = [sys.executable, "setup.py", "-q", "build_ext", "--build-lib", str(built)]
    subprocess.run(command, cwd=tmp_path, check=True)
    found = {path.name for path in stale.parent.glob("_kernels*")}
    assert found == {f"_kernels_{kind}.abi3.so" for kind in native.KINDS}
    assert not source.exists()


@needs_gcc
def test_a_compiler_that_knows_no_amx_builds_the_other_kinds(tmp_path):
    folder = tmp_path / "src" / "caffe" / "native" / "c"
    folder.mkdir(parents=True)
    (folder / "small.c").write_text("int kernels_small;\n")  # all of them take a minute
    compiler = tmp_path / "old-gcc"
    compiler.write_text(
        '#!/bin/sh\ncase " $* " in *" -mamx-tile "*) echo "unknown option" >&2; exit 1;; esac\n'
        'exec gcc "$@"\n'
    )
    compiler.chmod(0o755)
    others = {f"_kernels_{kind}.abi3.so" for kind in native.KINDS if kind != "amx"}
    assert _build_kernels(tmp_path, compiler) == others
    assert len(_build_kernels(tmp_path, "gcc")) == len(native.KINDS)


def test_the_wheel_holds_caffe_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"caffe", "pycaffe_torch"}
    for needed in ("proto/caffe_descriptor.bin", "proto/caffe.proto", "py.typed"):
        assert f"caffe/{needed}" in names


def test_a_pycaffe_script_runs_from_the_wheel_outside_the_checkout(wheel, tmp_path):
    site, work = tmp_path / "site", tmp_path / "work"
    work.mkdir()
    zipfile.ZipFile(wheel).extractall(site)
    (work / "script.py").write_text(SCRIPT)
    environment = dict(os.environ, PYTHONPATH=str(site), GLOG_minloglevel="2")
    ran = subprocess.run(
        # The checkout, installed for development, is another `caffe` on the path; ours is first.
        [
            sys.executable,
            "-W",
            "error",
            "-W",
            "ignore:another package named",
            "script.py",
            str(site),
        ],
        cwd=work,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("ran")


def test_another_caffe_on_the_path_is_named(tmp_path, monkeypatch):
    assert _shadow.other_caffe([str(tmp_path)]) is None
    other = tmp_path / "caffe" / "__init__.py"
    other.parent.mkdir()
    other.write_text("")
    assert _shadow.other_caffe([str(tmp_path)]) == other
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.warns(_shadow.OtherCaffeWarning, match=str(other)):
        _shadow.warn_of_other()


def test_copies_of_this_engine_and_sources_that_cannot_run_are_no_others(tmp_path):
    copy, tree = tmp_path / "copy", tmp_path / "tree"
    for folder in (copy, tree):
        (folder / "caffe").mkdir(parents=True)
        (folder / "caffe" / "__init__.py").write_text("")
    (copy / "caffe" / "_shadow.py").write_text("")
    (tree / "caffe" / "pycaffe.py").write_text("")
    (tree / "caffe" / "_caffe.cpp").write_text("")
    assert _shadow.other_caffe([str(copy), str(tree)]) is None
    (tree / "caffe" / "_caffe.so").write_text("")
    assert _shadow.other_caffe([str(copy), str(tree)]) == tree / "caffe" / "__init__.py"


def test_the_warning_is_one_that_python_shows():
    assert not issubclass(_shadow.OtherCaffeWarning, ImportWarning)
