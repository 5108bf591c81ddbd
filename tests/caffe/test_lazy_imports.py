"""``import caffe`` and what needs no arithmetic do without PyTorch, which takes seconds to load."""

import ast
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import caffe

HEAVY = "[m for m in ('torch', 'scipy', 'h5py') if m in sys.modules]"


def run(code, *arguments):
    """What a new process prints."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *arguments], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_public_name_is_found_and_stays():
    for name in caffe.__all__:
        value = getattr(caffe, name)
        assert getattr(caffe, name) is value and name in vars(caffe)
        assert name in dir(caffe)
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        caffe.nonsense  # noqa: B018


def test_the_core_is_listed_before_it_is_loaded():
    code = "import sys, caffe; assert '_caffe' in dir(caffe) and 'caffe._caffe' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_the_three_lists_of_names_agree():
    """What type checkers see, what ``import *`` gives, and where names come from."""
    tree = ast.parse(Path(caffe.__file__).read_text())
    (block,) = (n for n in tree.body if isinstance(n, ast.If))
    seen, modules = {}, set()
    for statement in block.body:
        for alias in statement.names:
            if statement.module == "caffe":
                modules.add(alias.name)
            else:
                seen[alias.asname or alias.name] = statement.module
    assert seen.pop("Layer") == "caffe.layer.python"
    assert seen == caffe._MODULE_OF
    assert {*seen, *modules, "Layer"} - set(caffe.__all__) == set()
    assert set(caffe.__all__) - {*seen, *modules, "Layer"} == set()


@pytest.mark.slow
@pytest.mark.parametrize(
    "use",
    [
        "caffe.__version__, caffe.__engine__",
        "caffe.proto.caffe_pb2.Datum(), caffe.TEST, caffe.Error",
        "caffe.NetSpec(), caffe.layers.ReLU(), caffe.params.Pooling.MAX",
        "caffe.io.caffe_pb2, caffe.log, caffe.set_random_seed(1)",
    ],
)
def test_names_that_need_no_pytorch_load_none(use):
    assert run(f"import sys, caffe\n{use}\nprint({HEAVY})") == "[]\n"


@pytest.mark.slow
def test_import_star_and_submodules_work_as_if_all_had_been_imported():
    assert "ok" in run("from caffe import *\nNet, SGDSolver, layers, proto.caffe_pb2\nprint('ok')")
    assert "ok" in run("import caffe\ncaffe.net_spec.layers, caffe.blob, caffe.layer\nprint('ok')")
    # A module of the package never takes a public name's place.
    code = "import caffe.net, caffe.io, caffe\nprint(callable(caffe.precision), caffe.Net.__name__)"
    assert run(code) == "True Net\n"


@pytest.mark.slow
def test_threads_sleep_where_pytorch_is_imported_after_caffe():
    code = """
        import os, caffe, torch
        print(os.environ["OMP_WAIT_POLICY"], os.environ["GOMP_SPINCOUNT"])
    """
    env = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_", "KMP_"))}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, env=env
    )
    assert done.stdout == "passive 1000\n", done.stderr


USAGES = [
    [],
    ["--help"],
    ["--version"],
    ["trian"],
    ["train"],
    ["train", "-foo"],
    ["test", "-model", "x"],
    ["time", "-phase", "train", "-model", "x"],
    ["classify", "-help"],
    ["classify"],
    ["detect", "-help"],
    ["convert_imageset"],
    ["compute_image_mean", "-help"],
    ["extract_features"],
    ["draw_net", "-help"],
    ["export", "-help"],
    ["parse_log"],
    ["upgrade_net_proto_text"],
]


@pytest.mark.slow
def test_usage_texts_and_usage_errors_load_no_pytorch():
    code = f"""
        import json, sys
        from caffe.cli import main
        for arguments in json.loads(sys.argv[1]):
            try:
                main(arguments)
            except SystemExit:
                pass
            assert not {HEAVY}, (arguments, {HEAVY})
    """
    run(code, json.dumps(USAGES))
