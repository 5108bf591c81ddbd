"""Experiments of the user's own, each in a folder."""

import os
import shlex
import shutil

import numpy as np
import pytest
from fcn_helpers import ROOT, raised
from PIL import Image

import bootstrap
import data
from data.folder import Options
from data.folder import prepare as prepare_folder
from fcn import catalog
from fcn.catalog import folders
from fcn.scoring import command
from fcn.training import loop
from fcn.weights import find
from nets import make


def test_a_folder_must_not_be_called_as_a_row_is(tmp_path):
    given = dict(backbone="toy", dataset="toy", stride=32)
    folder = os.path.join(str(tmp_path), "voc-fcn8s")
    text = raised(LookupError, lambda: list(make.folder_files(folder, given)))
    assert "choose another name" in text


def own(tmp_path, capsys, *arguments):
    """Call make.py from another folder than the repository; (status, output)."""
    before = os.getcwd()
    try:
        code = make.main([*arguments])
    finally:
        os.chdir(before)
    told = capsys.readouterr()
    return code, told.out + told.err


def described_folder(tmp_path):
    """Three images and masks, and their dataset.json."""
    folder = os.path.join(str(tmp_path), "photos")
    rng = np.random.RandomState(0)
    for part in ("images", "masks"):
        os.makedirs(os.path.join(folder, part))
        for i in range(3):
            pixels = rng.randint(0, 2, (24, 32) if part == "masks" else (24, 32, 3))
            Image.fromarray(pixels.astype(np.uint8)).save(os.path.join(folder, part, f"{i}.png"))
    given = Options(os.path.join(folder, "images"), os.path.join(folder, "masks"), folder, "photos")
    report = prepare_folder(given._replace(names=["ground", "tree"]))
    assert not report.problems, report.problems
    return os.path.join(folder, "dataset.json")


def test_a_net_of_ones_own_works_when_its_dataset_is_moved(tmp_path, capsys):
    path, net = described_folder(tmp_path), os.path.join(str(tmp_path), "mein Netz ä")
    arguments = ("--backbone", "toy", "--dataset", path, "--stride", "32", "--out", net)
    code, text = own(tmp_path, capsys, *arguments)
    assert code == 0 and f"next: python {shlex.quote(net + '/solve.py')}" in text, text
    os.rename(os.path.dirname(path), os.path.join(str(tmp_path), "moved"))
    found = folders.read_folder(net).dataset
    assert found.classes == 2 and found.deploy_size == (24, 32)
    named = data.names_of(found)
    assert named.CLASSES == ("ground", "tree") and named.PALETTE.shape == (256, 3)
    assert found.inputs[0].mean == named.mean


@pytest.mark.slow
def test_results_of_a_net_of_ones_own_lie_in_its_folder(tmp_path, capsys):
    path, net = described_folder(tmp_path), os.path.join(str(tmp_path), "coarse")
    own(tmp_path, capsys, "--backbone", "toy", "--dataset", path, "--stride", "32", "--out", net)
    before = os.getcwd()
    try:
        assert loop.main(net, ["--steps", "2"]) == 0
    finally:
        os.chdir(before)
    text = capsys.readouterr().out
    assert os.path.isfile(os.path.join(net, "out", "coarse.caffemodel")), text
    experiment = folders.read_folder(net)
    assert find.find(find.trained_of(experiment), None, "").startswith(os.path.join(net, "out"))
    # The finer net starts from it, whatever the two are called.
    fine = os.path.join(str(tmp_path), "fine")
    arguments = ["--backbone", "toy", "--dataset", path, "--stride", "16", "--out", fine]
    code, text = own(tmp_path, capsys, *arguments)
    assert code == 0 and "--weights FILE" in text, text
    try:
        assert loop.main(fine, ["--steps", "2"]) == 1
    finally:
        os.chdir(before)
    text = capsys.readouterr().err
    assert "at stride 32, which nets/make.py --after DIR names" in text, text
    code, text = own(tmp_path, capsys, *arguments, "--after", net)
    assert code == 0 and text.endswith(f"next: python {fine}/solve.py\n"), text
    try:
        assert loop.main(fine, ["--steps", "2"]) == 0
    finally:
        os.chdir(before)
    assert "coarse.caffemodel" in capsys.readouterr().out


def test_a_dataset_may_be_named_as_the_pages_do(tmp_path, monkeypatch, capsys):
    """data/folder/x/dataset.json, from wherever the user is."""
    folder = os.path.join(ROOT, "data", "folder", f"named-{os.getpid()}")
    path = described_folder(tmp_path)
    try:
        shutil.copytree(os.path.dirname(path), folder)
        monkeypatch.setattr(bootstrap, "START", str(tmp_path))
        named = os.path.relpath(os.path.join(folder, "dataset.json"), ROOT)
        net = os.path.join(str(tmp_path), "net")
        code, text = own(
            tmp_path,
            capsys,
            "--backbone",
            "toy",
            "--dataset",
            named,
            "--stride",
            "32",
            "--out",
            net,
        )
        assert code == 0, text
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_a_damaged_experiment_json_is_one_line(tmp_path, capsys):
    net = tmp_path / "net"
    net.mkdir()
    before = os.getcwd()
    for text in (
        "[]",
        "{}",
        "3",
        "{",
        "[" * 100000,
        '{"backbone": 3, "dataset": null, "classes": 2, "stride": 8}',
        '{"backbone": "toy", "dataset": null, "classes": "x", "stride": 8}',
        '{"backbone": "toy", "dataset": "gone.json", "stride": 8, "record": {"names": 3}}',
        '{"backbone": "toy", "dataset": "d.json", "stride": 8, "record": {"palette": [[1'
        + 30 * "0"
        + ', 0, 0]], "name": "d", "names": ["a"]}}',
    ):
        (net / "experiment.json").write_text(text)
        try:
            assert loop.main(str(net), ["--steps", "2"]) == 1, text[:80]
            assert command.main([str(net)]) == 1, text[:80]
        finally:
            os.chdir(before)
        told = capsys.readouterr().err
        assert told.count("error: ") == 2 and "experiment.json" in told, (text[:80], told)


def test_a_net_of_ones_own_is_offered_where_its_name_is_nearly_right(tmp_path):
    (tmp_path / "my-net").mkdir()
    (tmp_path / "my-net" / "experiment.json").write_text("{}")
    with pytest.raises(LookupError, match="is my-net or .* meant"):
        catalog.experiment(str(tmp_path / "my-nett"))
    with pytest.raises(LookupError, match="is a file: expected a net's name or folder"):
        catalog.experiment(str(tmp_path / "my-net" / "out" / "my-net.caffemodel"))
