"""data/check.py: what it finds in folders, described and known datasets, and how it names it."""

import json
import os
import subprocess
import sys

import data_samples
import numpy as np
import pytest
import true_files
from PIL import Image

import bootstrap
from data import check
from fcn.palette import save_label_png, voc_palette


def save(path, array, **more):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(str(path), **more)


@pytest.fixture(autouse=True)
def _where(monkeypatch):
    """check.main() changes to the repository's root; this changes back."""
    monkeypatch.chdir(bootstrap.ROOT)


@pytest.fixture
def folders(tmp_path):
    rng = np.random.RandomState(0)
    for i in range(4):
        save(tmp_path / "i" / f"{i}.jpg", rng.randint(0, 256, (6, 8, 3)).astype(np.uint8))
        save(tmp_path / "m" / f"{i}.png", np.arange(48).reshape(6, 8).astype(np.uint8) % 3)
    return tmp_path


@pytest.fixture
def run(folders, capsys):
    def call(*more):
        arguments = ["--images", str(folders / "i"), "--masks", str(folders / "m")]
        status = check.main(arguments + list(more))
        return status, capsys.readouterr().out

    return call


def test_good_folders(run, folders):
    (folders / "names.txt").write_text("sky\nroad\ncar\n")
    status, out = run("--classes", str(folders / "names.txt"))
    assert status == 0
    assert "4 of 4 images, all 8x6" in out and "masks: 4 PNG L" in out
    row = next(line.split() for line in out.splitlines() if " road " in line)
    assert row == ["1", "road", "64", "33.33%", "4"]
    assert "255  (does not count)" in out


def test_unknown_number_of_classes(run, folders):
    status, out = run()
    assert status == 0 and "the highest label is 2, so there seem to be 3 classes" in out
    save(folders / "m" / "0.png", np.full((6, 8), 200, np.uint8))
    status, out = run()
    assert "197 labels below the highest do not occur: are these class numbers?" in out


def test_the_first_wrong_value_is_named_with_its_pixel(run, folders):
    label = np.zeros((6, 8), np.uint8)
    label[2, 5] = label[4, 1] = 7
    save(folders / "m" / "2.png", label)
    status, out = run("--classes", "3")
    assert status == 1
    assert "m/2.png' holds 7 at x=5, y=2 (2 pixels); expected 0 to 2, or 255" in out


def test_all_that_can_be_wrong_is_told_at_once(run, folders):
    save(folders / "m" / "0.png", np.zeros((6, 9), np.uint8))
    (folders / "m" / "1.png").write_bytes((folders / "m" / "1.png").read_bytes()[:60])
    save(folders / "m" / "2.png", np.full((6, 8, 3), (10, 20, 30), np.uint8))
    (folders / "i" / "3.jpg").write_bytes(b"no image")
    status, out = run("--classes", "3")
    assert status == 1
    assert "0.jpg' is 8x6" in out and "0.png' is 9x6" in out
    assert "cannot read the label" in out and "m/1.png'" in out
    assert "m/2.png' is a RGB image" in out and "(10, 20, 30) 100.0 %" in out
    assert "data/folder.py --rgb" in out
    assert "cannot read the image" in out and "i/3.jpg'" in out
    assert "none of them readable" in out


def test_leftover_files(run, folders):
    (folders / "m" / "0.png").unlink()
    save(folders / "m" / "x.png", np.zeros((6, 8), np.uint8))
    status, out = run("--classes", "3")
    assert status == 1
    assert "1 images have no mask of their name, the first is '0.jpg'" in out
    assert "1 masks have no image of their name, the first is 'x.png'" in out


def test_masks_of_0_and_255(run, folders):
    for i in range(4):
        save(folders / "m" / f"{i}.png", np.where(np.eye(6, 8), 255, 0).astype(np.uint8))
    status, out = run()
    assert status == 1 and "--values 0,255" in out and "are fine" not in out


def test_jpeg_masks_and_empty_ones_are_noted(run, folders):
    for i in range(4):
        (folders / "m" / f"{i}.png").unlink()
        save(folders / "m" / f"{i}.jpg", np.full((6, 8), 1 if i else 255, np.uint8))
    status, out = run("--classes", "3")
    assert status == 0
    assert "4 masks are doubtful" in out and "is a JPEG" in out and "4 JPEG L" in out
    assert "1 images have no pixel that counts, the first" in out
    assert "nothing is labelled 0, 2" in out


def test_a_limit_takes_images_evenly(run):
    status, out = run("--limit", "2")
    assert status == 0 and "2 of 4 images" in out


def test_many_problems_are_cut(run, folders):
    for i in range(30):
        save(folders / "i" / f"{i}.jpg", np.zeros((6, 8, 3), np.uint8))
        save(folders / "m" / f"{i}.png", np.full((6, 8), 9, np.uint8))
    status, out = run("--classes", "3")
    assert status == 1 and out.count("holds 9") == 10 and "and 20 more of 30 images are bad" in out


# Datasets through their layers


@pytest.fixture
def voc(tmp_path):
    """SBD and VOC 2011, with the evaluation list."""
    sbd, voc = true_files.sbd_tree(tmp_path / "sbd"), true_files.voc_tree(tmp_path / "voc")
    (voc / "ImageSets" / "Segmentation" / "seg11valid.txt").write_text("2007_000033\n")
    return sbd, voc


def test_voc(voc, capsys):
    sbd, folder = voc
    assert check.main(["voc", "--data", str(sbd), str(folder)]) == 0
    out = capsys.readouterr().out
    assert "voc, train: 2 of 2 images" in out and "masks: 2 .mat" in out
    assert "voc, seg11valid: 1 of 1 images" in out and "masks: 1 PNG P" in out
    assert check.main(["voc-fcn8s", "--data", str(sbd), str(folder), "--split", "val"]) == 0
    out = capsys.readouterr().out
    assert "voc-fcn8s, seg11valid" in out and "voc-fcn8s, train" not in out
    assert check.main(["voc", "--data", str(sbd), str(folder), "--split", "trainval"]) == 1
    assert "trainval.txt" in capsys.readouterr().out


def test_a_bad_first_image_does_not_hide_the_others(voc, capsys):
    sbd, folder = voc
    label = np.zeros((12, 16), np.uint8)
    label[3, 4] = 33
    data_samples.sbd_mat(sbd / "cls" / "2008_000002.mat", label)
    (sbd / "img" / "2009_000001.jpg").unlink()
    save_label_png(str(folder / "SegmentationClass" / "2007_000033.png"), label, voc_palette())
    assert check.main(["voc", "--data", str(sbd), str(folder)]) == 1
    out = capsys.readouterr().out
    assert "2008_000002.mat' holds 33 at x=4, y=3" in out
    assert "missing image" in out and "2009_000001.jpg" in out
    assert "2007_000033.png' holds 33 at x=4, y=3" in out


def test_a_dataset_that_is_not_there(tmp_path, capsys):
    assert check.main(["voc", "--data", str(tmp_path), str(tmp_path)]) == 1
    assert "data/voc.py" in capsys.readouterr().out


def test_camvid_as_the_layer_emits_it(tmp_path, capsys):
    for split in ("train", "val"):
        save(tmp_path / split / "a.png", np.zeros((6, 8, 3), np.uint8))
        save(tmp_path / (split + "annot") / "a.png", np.full((6, 8), 11, np.uint8))
        (tmp_path / (split + ".txt")).write_text("a\n")
    assert check.main(["camvid", "--data", str(tmp_path)]) == 0
    out = capsys.readouterr().out  # void, 11 in the file, is 255
    assert "1 images have no pixel that counts" in out
    assert [line.split()[-3:] for line in out.splitlines() if "does not count" in line] == [
        ["48", "100.00%", "1"]
    ] * 2


@pytest.mark.parametrize(
    "name, said",
    [
        (
            "siftflow",
            [
                "siftflow, trainval: 3 of 3",
                "siftflow, test: 2 of 2",
                "  sem\n",
                "  geo\n",
                "siftflow, test, sem: nothing is labelled",
            ],
        ),
        (
            "nyud",
            ["nyud, trainval (color, depth, label): 3 of 3", "nyud, test (color, hha, label): 2"],
        ),
        ("nyud-fcn32s-hha", ["nyud-fcn32s-hha, trainval: 3 of 3"]),
        ("pascalcontext", ["pascalcontext, train: 2 of 2", "masks: 2 .mat"]),
    ],
)
def test_datasets_in_their_true_formats(name, said, tmp_path, capsys):
    dataset = name.split("-")[0]
    folders = data_samples.make(dataset, str(tmp_path))
    keys = {
        "siftflow": ["siftflow_dir"],
        "nyud": ["nyud_dir"],
        "pascalcontext": ["context_dir", "voc_dir"],
    }[dataset]
    assert check.main([name, "--data"] + [folders[key] for key in keys]) == 0
    out = capsys.readouterr().out
    for text in said:
        assert text in out
    assert "(color, label)" not in out  # it is in the others


def test_a_described_folder(folders, capsys):
    from data.folder import Options, prepare

    assert (
        prepare(
            Options(
                str(folders / "i"),
                str(folders / "m"),
                str(folders / "o"),
                "mine",
                ["sky", "road", "car"],
            )
        ).problems
        == []
    )
    path = str(folders / "o" / "dataset.json")
    assert check.main([path]) == 0
    out = capsys.readouterr().out
    assert "mine, train: 3 of 3" in out and "mine, val: 1 of 1" in out and "road" in out


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["nosuch"], "no dataset 'nosuch'; there are camvid,"),
        (["voc", "--data", "x"], "--data needs 2 for voc: sbdd_dir, voc_dir"),
        (["/none/dataset.json"], "/none/dataset.json"),
    ],
)
def test_what_is_not_known(arguments, message, capsys):
    assert check.main(arguments) == 1
    assert message in capsys.readouterr().out


def test_values_that_are_no_numbers(tmp_path, monkeypatch, capsys):
    """A layer whose image blob holds -inf, as the logarithm of a depth of 0 is."""
    from data.preparing.label_checks import Labels, check_layer
    from data.preparing.report import Report

    (tmp_path / "probe_layers.py").write_text("""
import numpy as np

class ProbeLayer:
    position = 0

    def setup(self, bottom, top):
        self.entries = [("a.png", "a.mat"), ("b.png", "b.mat")]

    def reshape(self, bottom, top):
        for blob in top:
            blob.reshape(1, 1, 2, 3)

    def forward(self, bottom, top):
        for blob in top:
            blob.data[...] = 0
        if self.position == 1:
            top[0].data[0, 0, 1, 2] = -np.inf
        self.position += 1
""")
    monkeypatch.syspath_prepend(str(tmp_path))
    report = Report()
    check_layer(
        "probe", "probe_layers", "ProbeLayer", {}, ["depth"], [Labels("label", 2, None)], report
    )
    assert report.problems == [
        "probe: 'b.png' gives [-inf] in 'depth' at x=2, y=1 (1 pixels that are no finite numbers)"
    ]


def test_a_dataset_json_runs_no_code_of_its_own(tmp_path, monkeypatch, capsys):
    (tmp_path / "evil_layers.py").write_text("raise SystemExit('it ran')")
    monkeypatch.syspath_prepend(str(tmp_path))
    path = str(tmp_path / "dataset.json")
    layer = {"module": "evil_layers", "layer": "X", "train": {"split": "a"}, "val": {"split": "b"}}
    good = {
        "name": "x",
        "classes": 1,
        "names": ["a"],
        "palette": [[0, 0, 0]],
        "mean": [1, 2, 3],
        "size": [4, 5],
        "images": {"train": 1, "val": 1},
        "layer": layer,
    }
    with open(path, "w") as f:
        json.dump(good, f)
    assert check.main([path]) == 1
    assert "evil_layers" in capsys.readouterr().out
    # Whatever else is in it: one line.
    layer = dict(layer, module="folder_layers", layer="os")
    for change in (
        {"layer": layer},
        {"names": 3},
        {"mean": [1, 2]},
        {"mean": [1, 2, float("nan")]},
        {"size": ["a", 2]},
        {"palette": [[1, 2]]},
        {"palette": [[0, 0, 10**30]]},
        {"images": None},
        {"classes": 5},
    ):
        with open(path, "w") as f:
            json.dump(dict(good, **change), f)
        assert check.main([path]) == 1, change
        assert capsys.readouterr().out.count("PROBLEM") >= 1


def test_turned_images_are_noted(tmp_path, capsys):
    exif = Image.Exif()
    exif[0x0112] = 3
    for folder in ("images", "masks"):
        os.makedirs(str(tmp_path / folder))
    Image.new("RGB", (4, 3)).save(str(tmp_path / "images" / "a.png"), exif=exif.tobytes())
    Image.new("L", (4, 3)).save(str(tmp_path / "masks" / "a.png"))
    arguments = ["--images", str(tmp_path / "images"), "--masks", str(tmp_path / "masks")]
    assert check.main([*arguments, "--classes", "2"]) == 0
    assert "1 images are stored turned (EXIF orientation)" in capsys.readouterr().out


def test_as_a_program():
    """Found by nobody else: imports that work only where a test has set up the paths."""
    for script in ("data/check.py", "data/folder.py", "data/voc.py", "data/nyud.py", "score.py"):
        done = subprocess.run(
            [sys.executable, os.path.join(bootstrap.ROOT, script), "--help"],
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
