"""papers/real_weights.py: what each of its rows trains; runs that are kept."""

import argparse
import json
import os

import data_samples
import numpy as np
import pytest
from fcn_helpers import raised

import caffe
from caffe.proto import caffe_pb2
from fcn.build import build
from fcn.errors import StartError
from papers import _common, _training, datasets, edits, real_weights


@pytest.fixture(scope="module")
def voc(tmp_path_factory):
    return data_samples.voc(tmp_path_factory.mktemp("voc"))


def plan(label):
    return next(plan for plan in real_weights.PLANS if plan.label == label)


def net(label, voc):
    """The train net of one of the rows."""
    one = plan(label)
    data = real_weights.small(voc, one.views, quick=True)
    made = build(real_weights._row(one, data), "train")
    if one.change:
        one.change(made, "train", 1)
    return made


def learning(made):
    return {each.name for each in made.layer if any(p.lr_mult for p in each.param)}


def test_stages_take_as_many_steps_as_training_at_once():
    stages = [plan(f"FCN-{stride}s") for stride in (32, 16, 8)]
    assert [stage.start for stage in stages] == ["ilsvrc", "FCN-32s", "FCN-16s"]
    assert sum(stage.steps for stage in stages) == plan("FCN-8s, at once").steps
    assert plan("decoder to stride 4").steps == plan("FCN-8s, at once").steps


def test_rows_differ_in_what_they_are_named_for(voc):
    assert learning(net("FCN-32s, fixed", voc)) == {"score_fr"}
    assert "stem" in learning(net("FCN-32s", voc))
    assert "mirror': True" in net("FCN-32s", voc).layer[0].python_param.param_str
    plain = net("FCN-32s, no augmentation", voc).layer[0].python_param.param_str
    assert "mirror': False" in plain and "'light': 0," in plain
    for label, frozen in (("BatchNorm frozen", True), ("BatchNorm learning", False)):
        norms = [
            each.batch_norm_param.use_global_stats
            for each in net("FCN-32s, " + label, voc).layer
            if each.type == "BatchNorm"
        ]
        assert len(norms) == 49 and set(norms) == {frozen}


def test_a_trunk_from_scratch_is_filled_and_learns_at_the_full_rate(voc):
    made = net("FCN-32s, from scratch", voc)
    for each in made.layer:
        if each.type == "Convolution" and not each.name.startswith("score"):
            assert each.convolution_param.weight_filler.type == "msra"
            assert {param.lr_mult for param in each.param} == {1}
        if each.type == "BatchNorm":
            assert {param.lr_mult for param in each.param} == {0}
    scores = edits.by_name(made, "score_fr")
    assert scores.convolution_param.weight_filler.type != "msra"


def test_without_the_trunk_the_command_that_makes_it_is_told(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert "nets/weights.py efficientnet-lite0" in raised(StartError, real_weights._trunk)


def test_a_missing_voc_is_told(tmp_path, capsys):
    with pytest.raises(SystemExit):
        arguments = ["--voc", str(tmp_path), "--out", str(tmp_path)]
        _common.arguments("Test.", {}, arguments, voc=True)
    assert "python data/voc.py" in capsys.readouterr().err


def test_a_run_is_kept_until_something_differs(tmp_path):
    args = argparse.Namespace(out=str(tmp_path), quick=True, gpu=None)
    small = datasets.generated(str(tmp_path), quick=True)
    row = _training.row("toy-fcn32s", small)
    variant = _training.Variant("toy", row, 2, 0.05, batch=2)
    first = _training.kept(variant, 1, small, args)
    times = os.stat(first.weights).st_mtime_ns
    again = _training.kept(variant, 1, small, args)
    assert again.losses == first.losses and again.scores == first.scores
    assert np.array_equal(again.hist, first.hist)
    assert os.stat(first.weights).st_mtime_ns == times

    other = _training.kept(variant._replace(rate=0.01), 1, small, args)
    assert os.stat(first.weights).st_mtime_ns > times
    assert other.losses[0] == first.losses[0]  # the same seed


def test_a_run_that_starts_from_other_weights_is_made_anew(tmp_path):
    args = argparse.Namespace(out=str(tmp_path), quick=True, gpu=None)
    small = datasets.generated(str(tmp_path), quick=True)
    row = _training.row("toy-fcn32s", small)
    first = _training.kept(_training.Variant("start", row, 2, 0.05, batch=2), 1, small, args)
    start = str(tmp_path / "start.caffemodel")
    os.rename(first.weights, start)
    variant = _training.Variant("then", row, 2, 0.05, start=start, batch=2)
    found = _training.kept(variant, 1, small, args)
    stored = caffe_pb2.NetParameter()
    with open(start, "rb") as f:
        stored.ParseFromString(f.read())
    blob = next(each for each in stored.layer if each.name == "conv1_1").blobs[0]
    blob.data[0] += 1
    with open(start, "wb") as f:
        f.write(stored.SerializeToString())
    assert _training.kept(variant, 1, small, args).losses != found.losses


def test_the_decoder_starts_from_the_classes_of_ilsvrc(voc, tmp_path):
    args = argparse.Namespace(out=str(tmp_path), quick=True, gpu=None, voc=voc)
    one = plan("decoder to stride 4")
    os.makedirs(str(tmp_path / "nets"))
    trunk = _classifier(tmp_path)
    made = real_weights.with_classes(one, trunk, args)
    with open(made, "rb") as f:
        first = f.read()
    with open(real_weights.with_classes(one, trunk, args), "rb") as f:
        assert f.read() == first  # so a run that starts from it is kept
    data = real_weights.small(voc, one.views, quick=True)
    variant = _training.Variant("x", real_weights._row(one, data), 1, 0.1)
    net = caffe.Net(_training.net_file(variant, "val", 1, args), made, caffe.TEST)
    weights = net.params["score_classes"][0].data
    assert not weights[15].any() and net.params["score_classes"][1].data[15] == 1.5  # person
    assert weights[1].any() and not np.array_equal(weights[1], weights[2])


def _classifier(tmp_path):
    """A caffemodel with a stem and the layer that scores a thousand classes, both random."""
    net = caffe_pb2.NetParameter(name="lite0")
    random = np.random.RandomState(0)
    for name, shapes in (("head", [(1280, 320, 1, 1), (1280,)]), ("fc", [(1000, 1280), (1000,)])):
        layer = net.layer.add(name=name, type="Convolution" if name == "head" else "InnerProduct")
        for shape in shapes:
            blob = layer.blobs.add(data=random.randn(int(np.prod(shape))))
            blob.shape.dim.extend(shape)
    path = str(tmp_path / "lite0.caffemodel")
    with open(path, "wb") as f:
        f.write(net.SerializeToString())
    return path


@pytest.mark.slow
def test_only_some_runs_and_tables_of_them(voc, tmp_path):
    before = os.getcwd()
    label = "FCN-32s, from scratch"
    try:
        real_weights.main(["--quick", "--voc", voc, "--out", str(tmp_path), "--only", label])
    finally:
        os.chdir(before)
    fields = json.loads((tmp_path / "real_weights.json").read_text(encoding="utf-8"))
    assert [[row[0] for row in table["rows"]] for table in fields["tables"]] == [[label]]
    assert list(fields["raw"]) == [label] and fields["raw"][label][0]["steps"] == 2
    assert f'--only "{label}"' in fields["command"]
    for table in fields["tables"]:
        assert {len(row) for row in table["rows"]} == {len(table["columns"])}
