"""What the images' entry point makes of a command."""

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_spec = importlib.util.spec_from_file_location(
    "entrypoint", os.path.join(ROOT, "docker", "entrypoint.py")
)
entrypoint = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(entrypoint)


def arguments_of(*command, gpu=False):
    return entrypoint.command_line(list(command), gpu)[1:]


def test_the_scripts_of_the_checkout_are_called_by_name():
    assert arguments_of("infer", "a.jpg") == [os.path.join(ROOT, "infer.py"), "a.jpg"]
    solve = os.path.join(ROOT, "nets", "toy-fcn8s", "solve.py")
    assert arguments_of("solve", "toy-fcn8s", "--steps", "3") == [solve, "--steps", "3"]
    for name, path in entrypoint.SCRIPTS.items():
        assert os.path.isfile(os.path.join(ROOT, path)), path
        assert arguments_of(name, "x")[0] == os.path.join(ROOT, path)
        assert name in entrypoint.USAGE


def test_a_working_gpu_is_used_unless_another_is_named():
    def added(*arguments):
        return arguments_of("score", *arguments, gpu=True)[1:]

    assert added("voc-fcn8s") == ["--gpu", "0", "voc-fcn8s"]
    assert added("voc-fcn8s", "--gpu", "1") == ["voc-fcn8s", "--gpu", "1"]
    assert added("voc-fcn8s", "--gpu=1") == ["voc-fcn8s", "--gpu=1"]
    # What stands behind `--` is no option.
    assert added("--", "--gpu") == ["--gpu", "0", "--", "--gpu"]
    assert arguments_of("infer", "a.jpg", gpu=True)[1:] == ["a.jpg"]  # which looks for one itself


@pytest.mark.parametrize(
    "command, received",
    [
        (["solve"], ""),
        (["solve", "voc-fcn9s"], "; received 'voc-fcn9s'; is voc-fcn"),
        (["solve", "/tmp"], "; received '/tmp'"),
    ],
)
def test_an_unknown_experiment_names_the_known_ones(command, received):
    with pytest.raises(SystemExit) as raised:
        entrypoint.command_line(command, True)
    assert "the folder of a net that make wrote, or an experiment" in str(raised.value)
    assert "one of camvid-fcn16s, " in str(raised.value) and received in str(raised.value)


def run(folder, *command):
    """The entry point as the image runs it, in a mounted folder, on a checkout it cannot write."""
    environment = dict(os.environ, OMP_NUM_THREADS="1")
    environment.pop("FCN_HOME", None)
    done = subprocess.run(
        [sys.executable, os.path.join(ROOT, "docker", "entrypoint.py"), *command],
        cwd=str(folder),
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert "Traceback" not in done.stdout, done.stdout
    return done.returncode, done.stdout


def test_ones_own_data_from_the_first_command_to_the_last(tmp_path):
    rng = np.random.RandomState(0)
    for part, shape in (("photos", (24, 32, 3)), ("masks", (24, 32))):
        (tmp_path / part).mkdir()
        for i in range(3):
            pixels = rng.randint(0, 2, shape).astype(np.uint8)
            Image.fromarray(pixels).save(str(tmp_path / part / f"{i}.png"))
    before = set(os.listdir(ROOT))
    described = "data/folder/mine/dataset.json"
    for command in (
        ("folder", "--images", "photos", "--masks", "masks", "--name", "mine"),
        ("check", described),
        ("make", "--backbone", "toy", "--dataset", described, "--stride", "32", "--out", "my-net"),
        ("solve", "my-net", "--steps", "2"),
        ("score", "my-net"),
        ("infer", "--net", "my-net", "photos/0.png", "--out", "."),
        ("train", "--images", "photos", "--masks", "masks", "--start", "scratch", "--steps", "2")
        + ("--out", "one-command"),
        ("report", "one-command", "my-net"),
    ):
        code, text = run(tmp_path, *command)
        assert code == 0, (command, text)
    assert (tmp_path / "my-net" / "out" / "my-net.caffemodel").exists()
    assert (tmp_path / "0_label.png").exists()
    assert (tmp_path / "one-command" / "report.html").exists()
    assert (tmp_path / "report.html").exists()
    assert set(os.listdir(ROOT)) == before


def test_weights_lie_in_the_mounted_folder(tmp_path):
    place = tmp_path / "nets" / "voc-fcn8s" / "fcn8s-heavy-pascal.caffemodel"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"something else")
    code, text = run(tmp_path, "weights", "voc-fcn8s")
    assert code == 1 and "nets/voc-fcn8s/fcn8s-heavy-pascal.caffemodel is not voc-fcn8s" in text
    code, text = run(tmp_path, "infer", "x.jpg", "--net", "voc-fcn8s")
    assert code == 1 and "no whole caffemodel" in text or "fcn8s-heavy-pascal" in text, text


def test_anything_else_is_executed_as_it_is():
    command = ["caffe", "time", "-model", "x"]
    assert entrypoint.command_line(command, True) == command


def test_without_a_gpu_the_reason_is_told(monkeypatch):
    monkeypatch.setattr(entrypoint.glob, "glob", lambda pattern: [])
    monkeypatch.setattr(entrypoint.os.path, "exists", lambda path: False)
    assert "--gpus all" in entrypoint.gpu_problem()


def started(*command, **more):
    return subprocess.run(
        [sys.executable, os.path.join(ROOT, "docker", "entrypoint.py"), *command],
        capture_output=True,
        text=True,
        check=False,
        **more,
    )


def test_an_unknown_command_is_one_line_with_a_guess(tmp_path):
    done = started("infre", "a.jpg")
    assert done.returncode == 127 and done.stderr.count("\n") == 1
    assert "Is infer meant?" in done.stderr and "`help` lists" in done.stderr
    done = started(str(tmp_path))
    assert done.returncode == 126 and done.stderr.count("\n") == 1, done.stderr


def test_help_of_every_command():
    assert started().stdout == started("--help").stdout == entrypoint.USAGE
    done = started("solve", "--help")
    assert done.returncode == 0 and "toy-fcn8s" in done.stdout
    assert started("bash", "-c", "exit 7").returncode == 7
