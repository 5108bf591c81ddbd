"""What is written of an image, and what is said."""

import json
import os

import numpy as np
import pytest
from labelling_helpers import _description, expected, run
from PIL import Image

import caffe
import infer
import surgery
from data import toy
from fcn import catalog, random_weights
from fcn.inference import loading, model
from fcn.prototxt import to_text

pytestmark = pytest.mark.usefixtures("_from_the_root")


@pytest.mark.slow
def test_all_heads_are_shown(photo, tmp_path, capsys):
    net = caffe.Net(_narrow("siftflow-fcn32s", tmp_path), caffe.TEST)
    random_weights.fill(net)
    for name in surgery.uses_upsampling(net):
        net.params[name][0].data[...] = 0.01
    net.save(str(tmp_path / "two.caffemodel"))
    two = model.Model(
        str(tmp_path / "narrow.prototxt"),
        str(tmp_path / "two.caffemodel"),
        (0, 0, 0),
        "score_sem",
        "score_geo",
    )
    experiment = catalog.experiment("siftflow-fcn32s")
    heads = loading.heads_of(experiment.dataset)
    assert [prefix for prefix, _, _ in heads] == ["", "geo"]
    Image.fromarray(photo).save(tmp_path / "p.png")
    options = infer.parse([str(tmp_path / "p.png"), "--out", str(tmp_path)])
    infer.Run(loading.Loaded("two", "", "CPU", two, heads, (64, 64), False), options).all()
    assert (tmp_path / "p_label.png").exists() and (tmp_path / "p_geo_label.png").exists()


def _narrow(name, folder):
    """The deploy prototxt of an experiment, a sixteenth as wide."""
    path = str(folder / "narrow.prototxt")
    with open(path, "w") as f:
        f.write(to_text(random_weights.narrowed(_description(name), 16)))
    return path


def test_json_is_all_that_is_printed(weights, photo, tmp_path, capsys):
    Image.fromarray(photo).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no image")
    assert run(weights, tmp_path, tmp_path / "a.png", tmp_path / "b.png", "--json") == 1
    printed = capsys.readouterr()
    good, bad = [json.loads(line) for line in printed.out.splitlines()]
    # What is damaged is found while the first waits for its batch.
    good, bad = (good, bad) if "classes" in good else (bad, good)
    want = expected(weights, photo)
    for found in good["classes"]:
        assert found["pixels"] == (want == found["number"]).sum()
        assert found["name"] == toy.CLASSES[found["number"]]
    assert sum(found["share"] for found in good["classes"]) == pytest.approx(1, abs=1e-4)
    assert [os.path.basename(f) for f in good["files"]] == ["a_label.png", "a_overlay.jpg"]
    assert good["seconds"] > 0 and good["tiles"] == 1 and not good["mostly_background"]
    assert set(bad) == {"file", "error"} and "b.png" in bad["error"]
    assert "knows" in printed.err.splitlines()[0]


@pytest.mark.slow
def test_side_by_side_contact_sheet_and_palette(weights, photo, tmp_path):
    Image.fromarray(photo).save(tmp_path / "a.png")
    (tmp_path / "colours.txt").write_text("0 0 0\nstar\t1 2 3\n250 0 0\n")
    more = ("--side-by-side", "--contact-sheet", tmp_path / "sheet.png")
    more += ("--palette", tmp_path / "colours.txt")
    assert run(weights, tmp_path, tmp_path / "a.png", *more) == 0
    with Image.open(str(tmp_path / "a_side.jpg")) as side:
        with Image.open(str(tmp_path / "a_overlay.jpg")) as overlaid:
            assert side.width == photo.shape[1] + 6 + overlaid.width
            assert side.height == overlaid.height
        left = np.array(side)[: photo.shape[0], : photo.shape[1]].astype(int)
    assert np.abs(left - photo).mean() < 12
    assert (tmp_path / "sheet.png").exists()
    with Image.open(str(tmp_path / "a_label.png")) as label:
        assert label.getpalette()[:9] == [0, 0, 0, 1, 2, 3, 250, 0, 0]
    # Its own results, the sheet included, are no images to label.
    assert run(weights, tmp_path, tmp_path, *more) == 0
    assert not (tmp_path / "sheet_label.png").exists()


@pytest.mark.slow
def test_a_palette_that_is_none(weights, photo, tmp_path, capsys):
    Image.fromarray(photo).save(tmp_path / "a.png")
    (tmp_path / "p.txt").write_text("0 0 0\n1 2\n")
    assert run(weights, tmp_path, tmp_path / "a.png", "--palette", tmp_path / "p.txt") == 1
    assert "line 2: expected 'R G B'" in capsys.readouterr().err
    assert run(weights, tmp_path, tmp_path / "a.png", "--palette", "rainbow") == 1
    assert "datasets are camvid, " in capsys.readouterr().err
    assert run(weights, tmp_path, tmp_path / "a.png", "--palette", "voc") == 0
