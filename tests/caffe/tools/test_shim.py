"""``caffe shim`` and the hook: scripts that call BVLC's programs or import from its sources."""

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

import caffe
from caffe import _source_tree
from caffe.cli import main
from caffe.tools import shim

pytestmark = pytest.mark.slow

SOURCE = Path(caffe.__file__).resolve().parents[1]
NET = 'layer { name: "d" type: "Input" top: "d" input_param { shape { dim: 1 dim: 2 } } }\n'
# What the published examples begin with; BVLC's __init__ imports its compiled core.
SCRIPT = """
import os, sys
caffe_root = sys.argv[1] + '/'
sys.path.insert(0, caffe_root + 'python')
import caffe
caffe.set_mode_cpu()
print(caffe.__engine__, caffe.Net('net.prototxt', caffe.TEST).blobs['d'].data.shape)
"""


def source_tree(root):
    """The form of BVLC's python/caffe, before it is built."""
    package = root / "python" / "caffe"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("from .pycaffe import Net\n")
    (package / "pycaffe.py").write_text("from ._caffe import Net\n")
    (package / "_caffe.cpp").write_text("// C++\n")
    return package


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """A Python of its own, as a user's environment: the hook goes into its site-packages."""
    folder = tmp_path_factory.mktemp("env")
    venv.create(folder, with_pip=False, symlinks=True)
    binary = folder / "bin" / "python"
    where = subprocess.run(
        [binary, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    others = [path for path in sys.path if path.endswith("site-packages")]
    Path(where, "paths.pth").write_text("\n".join([str(SOURCE), *others]) + "\n")
    return str(binary)


def run(*words, cwd, **more):
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    env["GLOG_minloglevel"] = "2"
    return subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, cwd=cwd, env=env, **more
    )


def test_a_script_over_a_source_tree_without_core_runs_with_one_warning(python, tmp_path):
    root = tmp_path / "caffe root"
    package = source_tree(root)
    (tmp_path / "net.prototxt").write_text(NET)
    (tmp_path / "script.py").write_text(SCRIPT)
    before = run(python, "script.py", root, cwd=tmp_path)
    assert before.returncode == 1 and "caffe._caffe" in before.stderr

    done = run(python, "-m", "caffe", "shim", root, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    after = run(python, "script.py", root, cwd=tmp_path)
    assert after.returncode == 0, after.stderr
    assert after.stdout.startswith("pycaffe-torch") and "(1, 2)" in after.stdout
    assert after.stderr.count("Warning") == 1 and str(package) in after.stderr

    (package / "_caffe.so").write_text("")  # a built tree is the user's choice
    built = run(python, "script.py", root, cwd=tmp_path)
    assert built.returncode == 1 and "_caffe" in built.stderr
    (package / "_caffe.so").unlink()

    gone = run(python, "-m", "caffe", "shim", root, "--remove", cwd=tmp_path)
    assert gone.returncode == 0, gone.stderr
    assert run(python, "script.py", root, cwd=tmp_path).returncode == 1
    left = [path for path in root.rglob("*") if path.is_file()]
    assert {path.parent for path in left} <= {package, package / "__pycache__"}


def test_programs_run_under_their_paths(python, tmp_path):
    source_tree(tmp_path)
    mine = tmp_path / "python" / "classify.py"
    mine.write_text("print('mine')\n")
    (tmp_path / "old.prototxt").write_text('layers { name: "r" type: RELU bottom: "a" top: "a" }')
    done = run(python, "-m", "caffe", "shim", tmp_path, "--no-hook", cwd=tmp_path)
    assert done.returncode == 0 and f"kept {mine}" in done.stdout
    assert mine.read_text() == "print('mine')\n"

    version = run("build/tools/caffe", "--version", cwd=tmp_path)
    assert version.stdout == "caffe version 1.0.0\n", version.stderr
    query = run("build/tools/caffe.bin", "device_query", cwd=tmp_path)
    assert query.returncode == 0, query.stderr
    upgrade = run(
        "build/tools/upgrade_net_proto_text", "old.prototxt", "new.prototxt", cwd=tmp_path
    )
    assert upgrade.returncode == 0, upgrade.stderr
    assert 'type: "ReLU"' in (tmp_path / "new.prototxt").read_text()
    # Beside BVLC's package, as Python starts a script of that folder.
    detect = run(python, "python/detect.py", "-help", cwd=tmp_path)
    assert detect.returncode == 0 and "caffe detect" in detect.stdout


def test_train_py_and_parse_log_run_under_their_paths(python, tmp_path):
    (tmp_path / "net.prototxt").write_text(NET)
    (tmp_path / "solver.prototxt").write_text(
        'net: "net.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 1'
    )
    done = run(python, "-m", "caffe", "shim", tmp_path, "--no-hook", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    # What `caffe train -gpu 77` says of a GPU that is not there.
    train = run(
        python, "python/train.py", "--solver", "solver.prototxt", "--gpus", 77, cwd=tmp_path
    )
    assert train.returncode == 1 and "GPU" in train.stderr and "Traceback" not in train.stderr
    usage = run(python, "python/train.py", "--gpus", 0, cwd=tmp_path)
    assert usage.returncode == 2 and "--solver" in usage.stderr
    parse = run(python, "tools/extra/parse_log.py", "gone.log", ".", cwd=tmp_path)
    assert parse.returncode == 1 and "gone.log" in parse.stderr and "Traceback" not in parse.stderr
    extra = sorted(path.name for path in (tmp_path / "tools" / "extra").iterdir())
    assert extra == [
        "extract_seconds.py",
        "launch_resize_and_crop_images.sh",
        "parse_log.py",
        "parse_log.sh",
        "plot_training_log.py",
        "plot_training_log.py.example",
        "resize_and_crop_images.py",
        "summarize.py",
    ]
    for name in extra:
        told = run(f"tools/extra/{name}", cwd=tmp_path)
        assert "usage" in (told.stdout + told.stderr).lower(), name
    table = run(python, "tools/extra/summarize.py", "net.prototxt", cwd=tmp_path)
    assert table.stdout.split() == ["d", "Input", "->", "d"], table.stderr
    run(python, "-m", "caffe", "shim", tmp_path, "--no-hook", "--remove", cwd=tmp_path)
    assert not [path for path in (tmp_path / "tools").rglob("*") if path.is_file()]
    assert not [path for path in tmp_path.rglob("*.py") if path.is_file()]


@pytest.mark.parametrize("snapshot", [[], ["--snapshot", "s.solverstate"]])
def test_train_py_is_caffe_train(monkeypatch, snapshot):
    from caffe import cli
    from caffe.tools import train_script

    calls = []
    monkeypatch.setattr(cli, "main", lambda words: calls.append(words) or 0)
    assert train_script.main(["--solver", "s", "--gpus", "0", "2", *snapshot]) == 0
    more = ["-snapshot", "s.solverstate"] if snapshot else []
    assert calls == [["train", "-solver", "s", "-gpu", "0,2", *more]]


def test_every_program_is_a_command_and_runs_again(tmp_path, capsys):
    from caffe.cli import BREW, TOOLS

    for arguments in [*shim.PROGRAMS.values(), *shim.SCRIPTS.values()]:
        assert not arguments or arguments[0] in {**BREW, **TOOLS}
    for _ in range(2):
        assert main(["shim", str(tmp_path / "new"), "--no-hook"]) == 0
        assert "kept" not in capsys.readouterr().out


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path, capsys):
    (tmp_path / "build").write_text("a file")
    assert main(["shim", str(tmp_path), "--no-hook"]) == 1
    assert str(tmp_path / "build") in capsys.readouterr().err


def test_only_bvlcs_source_without_core_counts(tmp_path):
    package = source_tree(tmp_path)
    assert _source_tree.lacks_core(package)
    assert not _source_tree.lacks_core(tmp_path) and not _source_tree.lacks_core(tmp_path / "no")
    (package / "_caffe.cpython-39-x86_64-linux-gnu.so").write_text("")
    assert not _source_tree.lacks_core(package)
