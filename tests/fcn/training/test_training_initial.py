"""What a run starts from: the stage before, weights of other classes, nothing damaged."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from fcn_helpers import ROOT
from training_runs import call, toy_data

import caffe
from caffe.proto import caffe_pb2

pytestmark = pytest.mark.slow


def test_stages_follow_each_other(tmp_path):
    toy_data(tmp_path)
    code, text = call(tmp_path, experiment="toy-fcn16s")
    assert code == 1 and "toy-fcn32s.caffemodel" in text, text
    assert "python nets/toy-fcn32s/solve.py" in text, text
    for streams, fresh in (("32s", None), ("16s", "score_pool4"), ("8s", "score_pool3")):
        experiment = "toy-fcn" + streams
        code, text = call(tmp_path, "--steps", "3", experiment=experiment)
        assert code == 0, text
        if fresh:
            assert f"left at their filler: {fresh}\n" in text, text
    net = caffe.Net(
        os.path.join(ROOT, "nets", "toy-fcn8s", "deploy.prototxt"),
        os.path.join(str(tmp_path), "o", "toy-fcn8s.caffemodel"),
        caffe.TEST,
    )
    assert np.isfinite(net.forward()["score"]).all()
    score = [sys.executable, os.path.join(ROOT, "score.py"), "toy-fcn8s", "--data", "toy"]
    text = subprocess.check_output(
        score + ["--out", "o", "--split", "train", "--save", "seen"], cwd=str(tmp_path)
    ).decode()
    assert "mean IU" in text and "triangle" in text, text
    assert len(os.listdir(os.path.join(str(tmp_path), "seen"))) == 8
    with open(os.path.join(str(tmp_path), "o", "scores.jsonl")) as f:
        last = json.loads(f.read())
    assert last["split"] == "train" and last["images"] == 8 and last["engine"], last


def test_weights_of_another_number_of_classes(tmp_path):
    toy_data(tmp_path)
    code, text = call(tmp_path, "--steps", "1")
    assert code == 0, text
    other = os.path.join(str(tmp_path), "other.caffemodel")
    message = caffe_pb2.NetParameter()
    with open(os.path.join(str(tmp_path), "o", "toy-fcn32s.caffemodel"), "rb") as f:
        message.ParseFromString(f.read())
    for layer in message.layer:
        if layer.name == "score_fr":
            layer.blobs[0].data.extend(list(layer.blobs[0].data))
            layer.blobs[0].shape.dim[0] *= 2
    with open(other, "wb") as f:
        f.write(message.SerializeToString())
    code, text = call(tmp_path, "--restart", "--steps", "1", "--weights", other)
    assert code == 1 and "--replace-scores" in text and "score_fr" in text, text
    code, text = call(tmp_path, "--restart", "--steps", "1", "--weights", other, "--replace-scores")
    assert code == 0, text
    assert "score_fr" in text.split("left at their filler:")[1].splitlines()[0], text


def test_a_damaged_prototxt_is_one_line(tmp_path, monkeypatch):
    from fcn import catalog

    toy_data(tmp_path)
    for text in (b'name: "\xff"', b"layer { type }", b"layer {" * 5000):
        (tmp_path / "net.prototxt").write_bytes(text)
        monkeypatch.setattr(catalog, "net_path", lambda *_: str(tmp_path / "net.prototxt"))
        code, told = call(tmp_path, "--steps", "2")
        assert code == 1 and "is no NetParameter as a prototxt" in told, told
        assert told.count("\n") < 4, told
