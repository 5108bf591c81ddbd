"""Any backbone on any dataset at any stride, with any head: nets that fit every image."""

import json
import os
import shutil

import numpy as np
import pytest
from fcn_helpers import raised, read_net
from google.protobuf import text_format
from PIL import Image

from caffe.proto import caffe_pb2
from data.folder import Options
from data.folder import prepare as prepare_folder
from fcn.classifiers.catalog import classifier
from fcn.geometry import facts
from fcn.training import loop
from nets import make


def test_receptive_field_of_googlenet():
    """Table 1 of the paper: 907 with the classifier's 7×7 average, which the FCN does without."""
    rows = {row.name: row.blob.field for row in facts.walk(classifier("googlenet").build("deploy"))}
    assert (rows["pool5/7x7_s1"], rows["inception_5b/output"]) == (907, 715)
    found = facts.facts(read_net("voc-fcn-googlenet", "deploy"))
    assert (round(found.parameters / 1e6), found.field, found.stride) == (6, 715, 32)


def test_the_command_line(tmp_path, capsys):
    out = os.path.join(str(tmp_path), "mine")
    given = [
        "--backbone",
        "resnet50",
        "--dataset",
        "nyud",
        "--two-stream",
        "--stride",
        "16",
        "--at-once",
        "--out",
        out,
    ]
    before = os.getcwd()
    try:
        assert make.main(given) == 0
        assert make.main(given[:2] + ["--classes", "3", "--stride", "4", "--out", out]) == 1
        assert "32, 16, 8; received 4" in capsys.readouterr().err
        raised(SystemExit, make.main, given[:-2])
    finally:
        os.chdir(before)
    assert "needs " in capsys.readouterr().err
    assert sorted(os.listdir(out)) == [
        "deploy.prototxt",
        "experiment.json",
        "solve.py",
        "solver.prototxt",
        "test.prototxt",
        "trainval.prototxt",
    ]


@pytest.mark.slow
def test_a_folder_of_ones_own_is_trained(tmp_path):
    folder = os.path.join(str(tmp_path), "photos")
    rng = np.random.RandomState(0)
    for part in ("images", "masks"):
        os.makedirs(os.path.join(folder, part))
    for i in range(3):
        image = rng.randint(0, 256, (40, 48, 3)).astype(np.uint8)
        mask = rng.randint(0, 3, (40, 48)).astype(np.uint8)
        Image.fromarray(image).save(os.path.join(folder, "images", f"{i}.png"))
        Image.fromarray(mask).save(os.path.join(folder, "masks", f"{i}.png"))
    report = prepare_folder(
        Options(os.path.join(folder, "images"), os.path.join(folder, "masks"), folder, "photos")
    )
    assert not report.problems, report.problems
    net = os.path.join(str(tmp_path), "my-net")
    given = dict(
        backbone="toy", dataset=os.path.join(folder, "dataset.json"), stride=8, at_once=True
    )
    made = dict(make.folder_files(net, given))
    os.makedirs(net)
    for path, content in made.items():
        with open(path, "w") as f:
            f.write(content)
    assert json.loads(made[os.path.join(net, "experiment.json")]) == given
    before = os.getcwd()
    try:
        assert loop.main(net, ["--steps", "2", "--out", os.path.join(str(tmp_path), "out")]) == 0
    finally:
        os.chdir(before)
    assert os.path.exists(os.path.join(str(tmp_path), "out", "my-net.caffemodel"))
    deploy = text_format.Parse(made[net + "/deploy.prototxt"], caffe_pb2.NetParameter())
    assert list(deploy.layer[0].input_param.shape[0].dim) == [1, 3, 40, 48]
    shutil.rmtree(net)


def test_what_is_missing_is_said(capsys):
    for given, words in (
        (["--backbone", "toy"], "needs --dataset or --classes and --stride and --out as well"),
        (["--out", "x"], "needs --backbone and --dataset or --classes and --stride as well"),
    ):
        raised(SystemExit, make.main, given)
        assert words in capsys.readouterr().err
