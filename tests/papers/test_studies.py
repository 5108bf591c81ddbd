"""Every experiment in its quick mode, on a handful of pictures; what its parts do by themselves."""

import importlib
import json
import os

import numpy as np
import pytest
from fcn_helpers import ROOT, net_of, raised
from PIL import Image

from caffe.proto import caffe_pb2
from fcn.build import build
from papers import _common, _training, class_balancing, datasets, edits, label_bound, momentum
from papers.masking import foreground_iu


@pytest.fixture(scope="session")
def camvid(tmp_path_factory):
    """A folder as data/camvid.py lays it out, five images of noise in each split."""
    folder = tmp_path_factory.mktemp("camvid")
    rng = np.random.RandomState(1)
    for split in ("train", "val"):
        for part in (split, split + "annot"):
            (folder / part).mkdir()
        for i in range(5):
            pixels = rng.randint(0, 256, (36, 48, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(str(folder / split / f"{i}.png"))
            classes = np.repeat(rng.randint(0, 12, (36, 6)).astype(np.uint8), 8, axis=1)
            Image.fromarray(classes).save(str(folder / (split + "annot") / f"{i}.png"))
        (folder / (split + ".txt")).write_text("".join(f"{i}\n" for i in range(5)))
    return str(folder)


ON_CAMVID = ("augmentation", "class_balancing", "label_bound", "masking")
OTHERS = ("initial_scores", "momentum", "pool5_stride", "streams", "whole_images")


@pytest.mark.slow
@pytest.mark.parametrize("name", ON_CAMVID + OTHERS)
def test_quick_mode_writes_numbers_text_and_pictures(name, camvid, tmp_path):
    arguments = ["--quick", "--out", str(tmp_path)]
    if name in ON_CAMVID:
        arguments += ["--camvid", camvid]
    if name != "label_bound":
        arguments += ["--seeds", "1"]
    before = os.getcwd()
    try:
        importlib.import_module("papers." + name).main(arguments)
    finally:
        os.chdir(before)
    fields = json.loads((tmp_path / f"{name}.json").read_text(encoding="utf-8"))
    assert fields["name"] == name and fields["quick"] and fields["tables"] and fields["raw"]
    for table in fields["tables"]:
        assert {len(row) for row in table["rows"]} == {len(table["columns"])}
    assert _common.markdown(fields, "") in (tmp_path / f"{name}.md").read_text(encoding="utf-8")
    for plot in fields["plots"]:
        with Image.open(str(tmp_path / plot["file"])) as image:
            assert image.width >= 460 and image.height >= 320


def test_a_missing_camvid_is_told(tmp_path, capsys):
    with pytest.raises(SystemExit):
        _common.arguments(
            "Test.", {}, ["--camvid", str(tmp_path), "--out", str(tmp_path)], camvid=True
        )
    assert "python data/camvid.py" in capsys.readouterr().err


def layer(tmp_path, kind, bottoms, options, tops=("a",)):
    """The tops of one of the experiments' layers for given bottoms."""
    text = ""
    for name, value in bottoms.items():
        dims = " ".join(f"dim: {d}" for d in value.shape)
        text += f'layer {{ name: "{name}" type: "Input" top: "{name}" '
        text += f"input_param {{ shape {{ {dims} }} }} }}\n"
    text += 'layer {{ name: "l" type: "Python" {} {} python_param {{ '.format(
        " ".join(f'bottom: "{name}"' for name in bottoms),
        " ".join(f'top: "{name}"' for name in tops),
    )
    text += f'module: "experiment_layers" layer: "{kind}" param_str: "{options!r}" }} }}'
    net = net_of(tmp_path, text)
    for name, value in bottoms.items():
        net.blobs[name].data[...] = value
    net.forward()
    return [net.blobs[name].data.copy() for name in tops]


def test_sampling_keeps_whole_cells_at_the_given_share(tmp_path):
    label = np.full((50, 1, 70, 96), 3, np.float32)
    (found,) = layer(
        tmp_path, "SampleLossLayer", {"label": label}, {"keep": 0.25, "cell": 32, "seed": 1}
    )
    cells = found[:, 0, ::32, ::32]
    assert set(np.unique(found)) == {3, 255}
    assert np.array_equal(found[:, 0], cells.repeat(32, 1).repeat(32, 2)[:, :70, :96])
    assert 0.2 < (cells == 3).mean() < 0.3


def test_presence_says_which_classes_are_there(tmp_path):
    label = np.zeros((2, 1, 4, 4), np.float32)
    label[0, 0, 1, 2], label[1, 0, 0, 0] = 2, 255
    (found,) = layer(tmp_path, "PresenceLayer", {"label": label}, {"classes": 3})
    assert found.reshape(2, 3).tolist() == [[1, 0, 1], [1, 0, 0]]


def test_jitter_moves_image_and_label_alike(tmp_path):
    image = np.arange(1, 61, dtype=np.float32).reshape(1, 1, 6, 10).repeat(20, 0)
    data, label = layer(
        tmp_path,
        "JitterLayer",
        {"data": image, "label": image % 7},
        {"by": 2, "seed": 3},
        ("a", "b"),
    )
    assert np.array_equal(data == 0, label == 255)
    assert np.array_equal((data % 7)[data > 0], label[data > 0])
    moves = set()
    for each in data[:, 0]:
        row, column = np.argwhere(each == 25)[0]  # at 2, 4
        moves.add((row - 2, column - 4))
        assert abs(row - 2) <= 2 and abs(column - 4) <= 2
    assert len(moves) > 5


@pytest.mark.parametrize(
    "hide, expected",
    [("foreground", [5, 0, 0, 5]), ("background", [0, 5, 0, 0]), ("both", [0, 64, 0, 0])],
)
def test_mask_hides_what_it_says(hide, expected, tmp_path):
    label = np.array([0, 2, 255, 1], np.float32).reshape(1, 1, 1, 4)
    image = np.full((1, 3, 1, 4), 5, np.float32)
    (found,) = layer(
        tmp_path, "MaskLayer", {"data": image, "label": label}, {"hide": hide, "foreground": [2]}
    )
    assert found[0].tolist() == [[expected]] * 3


@pytest.fixture
def toy_net(tmp_path):
    small = datasets.generated(str(tmp_path), quick=True)

    def variant(name, phase="train"):
        return build(_training.row(name, small), phase)

    return variant


def test_a_fixed_trunk_learns_scores_alone(toy_net):
    net = toy_net("toy-fcn32s")
    edits.fixed_trunk(net, "train", 1)
    learning = [each.name for each in net.layer if any(p.lr_mult for p in each.param)]
    assert learning == ["score_fr"]
    assert all(
        each.batch_norm_param.use_global_stats for each in net.layer if each.type == "BatchNorm"
    )


def test_learnt_upsampling_leaves_the_last_fixed(toy_net):
    net = toy_net("toy-fcn8s")
    edits.learnt_upsampling(net, "train", 1)
    rates = {each.name: each.param[0].lr_mult for each in net.layer if each.type == "Deconvolution"}
    assert rates == {"upscore2": 1, "upscore_pool4": 1, "upscore8": 0}


def test_edits_of_the_train_net_leave_val_alone(toy_net):
    for change in (
        edits.sampled_loss(0.5, 32),
        edits.jitter(4),
        edits.weighted_loss("h"),
        edits.option("train", mirror=True),
        edits.mask("both", [1], ["train"]),
    ):
        before, after = toy_net("toy-fcn8s", "val"), toy_net("toy-fcn8s", "val")
        change(after, "val", 1)
        assert after == before
        train = toy_net("toy-fcn8s")
        change(train, "train", 1)
        assert train != toy_net("toy-fcn8s")


def test_a_layer_that_is_not_there_is_named():
    net = caffe_pb2.NetParameter()
    assert "'pool5'" in raised(LookupError, edits.by_name, net, "pool5")


def test_weights_are_of_the_median_class_and_bounded():
    found = class_balancing.weights(np.array([0.5, 0.2, 0.1, 0.001, 0]))
    assert np.allclose(found, [0.3, 0.75, 1.5, 10, 1])


def test_shares_count_the_training_labels(tmp_path, camvid):
    small = datasets.shrunk_camvid(camvid, str(tmp_path), quick=True)
    share = class_balancing.shares(small)
    assert share.shape == (11,) and abs(share.sum() - 1) < 1e-9 and (share > 0).all()


def test_the_matrix_file_weighs_the_loss(tmp_path):
    path = class_balancing.write_matrix(os.path.join(str(tmp_path), "h"), [1, 3])
    text = """
    layer { name: "x" type: "Input" top: "x" top: "y"
      input_param { shape { dim: 1 dim: 2 dim: 1 dim: 2 } shape { dim: 1 dim: 1 dim: 1 dim: 2 } } }
    layer { name: "l" type: "InfogainLoss" bottom: "x" bottom: "y" top: "l"
      infogain_loss_param { source: "PATH" } }"""
    net = net_of(tmp_path, text.replace("PATH", path))
    net.blobs["x"].data[...], net.blobs["y"].data[...] = 0, np.array([0, 1]).reshape(1, 1, 1, 2)
    net.forward()
    assert abs(float(net.blobs["l"].data) - np.log(2) * (1 + 3) / 2) < 1e-6


def test_rates_move_the_weights_as_far():
    one, heavy = (momentum.rate_of(0.02, 1, m, 9216) for m in (0.9, 0.99))
    assert momentum.rate_of(0.02, 20, 0.9, 9216) == 0.02
    assert abs(one - 0.02 / 20 / 9216) < 1e-12 and abs(heavy - one / 10) < 1e-12


def test_the_bound_is_one_where_cells_are_of_one_class():
    label = np.arange(6).reshape(2, 3).repeat(4, 0).repeat(4, 1).astype(np.uint8)
    for factor in (4, 2):
        found = label_bound.bound([label], 6, factor)
        assert found["centre"] == found["most frequent"] == 1
    assert label_bound.bound([label], 6, 8)["most frequent"] < 0.5


def test_frequent_and_centre_of_cells_that_are_cut_off():
    label = np.array([[0, 0, 1], [0, 1, 1], [2, 2, 255]], np.uint8)
    assert label_bound.frequent(label, 2, 3).tolist() == [[0, 1], [2, 0]]
    assert label_bound.centres(label, 2).tolist() == [[1, 1], [2, 0]]


def test_interpolation_of_two_cells_meets_in_the_middle():
    found = label_bound.interpolated(np.array([[0, 1]]), 4, (4, 8), 2)
    assert found.tolist() == [[0] * 4 + [1] * 4] * 4


def test_foreground_iu_leaves_the_background_out():
    hist = np.array([[8, 1, 1], [0, 3, 1], [0, 0, 0]])
    assert abs(foreground_iu(hist, [1]) - 3 / 5) < 1e-9


def test_scripts_are_at_their_place():
    for name in ON_CAMVID + OTHERS:
        with open(os.path.join(ROOT, "papers", name + ".py"), encoding="utf-8") as f:
            assert "paper" in f.readline() + f.readline()
