"""Any backbone on any dataset at any stride, with any head: nets that fit every image."""

import json
import os
import shutil

import numpy as np
import pytest
from fcn_helpers import ROOT, raised, read_net
from google.protobuf import text_format
from narrow_nets import narrow
from PIL import Image

import bootstrap
import caffe
import data
from caffe import coord_map
from caffe.proto import caffe_pb2
from data.folder import Options
from data.folder import prepare as prepare_folder
from fcn import catalog
from fcn.build import build
from fcn.catalog import BACKBONES, HEADS, datasets, folders
from fcn.classifiers.catalog import classifier
from fcn.geometry import align, facts
from fcn.prototxt import to_text
from fcn.scoring import command
from fcn.training import loop
from fcn.weights import find
from nets import explain, make

SIZES = ((1, 2), (31, 32), (33, 66), (97, 255))


def planned(dataset, backbone, stride, **more):
    """None where they do not go together."""
    try:
        return catalog.plan(dataset, backbone, stride, **more)
    except ValueError:
        return None


def check_geometry(net, height, width):
    """Every crop is aligned and fits, what is joined has one size, the scores have the image's."""
    sizes = {}
    for row in facts.walk(net, explain.input_sizes(net, height, width)):
        shape = row.blob.shape[2:]
        bottoms = [sizes[name] for name in row.bottoms]
        assert min(shape) >= 1, row.name
        if row.type in ("Eltwise", "Concat"):
            assert all(bottom == shape for bottom in bottoms), row
        if row.type == "Crop":
            assert "aligned would be" not in row.note, row
            offset = int(row.note.split()[1].rstrip(":"))
            assert all(n + offset <= m for m, n in zip(*bottoms)), row
        for top in row.tops:
            sizes[top] = shape
    assert sizes[net.layer[-1].top[0]] == [height, width]


@pytest.mark.slow
def test_every_backbone_head_and_stride_fits_images_of_any_size():
    seen = 0
    for backbone, usual in BACKBONES.items():
        if backbone.endswith(("-frozen", "-learning")):
            continue  # the geometry of the net without the ending
        for head in HEADS:
            for stride in usual.strides:
                experiment = planned(datasets.TOY, backbone, stride, head=head)
                net = build(experiment, "deploy")
                for size in SIZES:
                    check_geometry(net, *size)
                seen += 1
    assert seen >= 7 * 6 * 3 + 3 * 6 * 4 + 2 * 6


@pytest.mark.slow
def test_every_backbone_dataset_and_stride_is_built():
    for backbone, usual in BACKBONES.items():
        for name, dataset in datasets.NAMED.items():
            for stride in usual.strides:
                net = build(planned(dataset, backbone, stride), "train")
                widths = {
                    layer.top[0]: layer.convolution_param.num_output
                    for layer in net.layer
                    if layer.type in ("Convolution", "Deconvolution")
                }
                for output in dataset.outputs:
                    score = "score_fr" if stride > 1 else "score"  # U-Net's has the image's size
                    assert widths[score + output.suffix] == output.classes, (backbone, name)
                losses = [layer.bottom[1] for layer in net.layer if layer.type == "SoftmaxWithLoss"]
                assert losses == [output.label for output in dataset.outputs]


def test_two_streams_and_at_once_on_every_trained_backbone():
    hha, fusion = datasets.named("nyud", two_stream=True)
    for backbone in ("vgg16", "vgg19", "alexnet", "googlenet", "resnet50"):
        for at_once in (False, True):
            net = build(planned(hha, backbone, 8, fusion=fusion, at_once=at_once), "deploy")
            assert list(net.layer[0].top) == ["color", "hha"]
            scales = [layer.name for layer in net.layer if layer.scale_param.HasField("filler")]
            assert len(scales) == 4 * (at_once and backbone != "resnet50"), (backbone, scales)
            fused = [layer for layer in net.layer if layer.name.endswith("_fused")]
            assert [list(layer.eltwise_param.coeff) for layer in fused] == [[0.5, 0.5]] * 3
            check_geometry(net, 60, 77)


@pytest.mark.slow
def test_nets_of_every_backbone_load_and_run(tmp_path):
    """A sixteenth of the width, each backbone with another head and stride."""
    rows = [
        ("vgg16", 8, "light"),
        ("vgg19", 16, "sum"),
        ("alexnet", 8, "concat"),
        ("googlenet", 8, "sum"),
        ("resnet50", 8, "pyramid"),
        ("resnet50", 16, "unet"),
        ("toy", 8, "unet"),
        ("unet", 1, "unet"),
        ("googlenet", 16, "light"),
        ("googlenet", 8, "fusion"),
        ("efficientnet-lite0", 4, "fusion"),
        ("efficientnet-lite1-frozen", 8, "sum"),
        ("efficientnet-lite2-learning", 32, "light"),
    ]
    for backbone, stride, head in rows:
        experiment = planned(datasets.TOY, backbone, stride, head=head)
        net = narrow(build(experiment, "deploy"), 16)
        path = os.path.join(str(tmp_path), "deploy.prototxt")
        with open(path, "w") as f:
            f.write(to_text(net))
        made = caffe.Net(path, caffe.TEST)
        made.blobs["data"].reshape(1, 3, 35, 50)
        made.reshape()
        for row in facts.walk(net, {"data": [1, 3, 35, 50]}):
            assert list(made.blobs[row.tops[0]].shape) == list(row.blob.shape), row.name
        for blobs in made.params.values():
            for blob in blobs:
                blob.data[...] = 0.01
        made.blobs["data"].data[...] = 1
        scores = made.forward()["score"]
        assert scores.shape == (1, 5, 35, 50) and np.all(scores > 0), (backbone, head)


def test_offsets_are_those_of_coord_map():
    n = caffe.NetSpec()
    n.data = caffe.layers.Input(shape=dict(dim=[1, 3, 90, 90]))
    features = BACKBONES["vgg16"].add(n, n.data, "deploy", True)
    for skip in features.skips.values():
        for like in (n.data, skip.blob):
            top = caffe.layers.Deconvolution(
                skip.blob, convolution_param=dict(num_output=3, kernel_size=16, stride=8)
            )
            ours = [align.place(blob) for blob in (top, like)]
            axis, scale, shift = coord_map.coord_map_from_to(top, like)
            assert float(ours[1][0] / ours[0][0]) == np.ravel(scale)[0]
            apart = ours[1][1] - ours[1][0] / ours[0][0] * ours[0][1]
            assert abs(float(apart) - np.ravel(shift)[0]) < 1e-9


def test_blobs_that_no_crop_aligns():
    n = caffe.NetSpec()
    n.data = caffe.layers.Input(shape=dict(dim=[1, 3, 90, 90]))
    n.pool = caffe.layers.Pooling(n.data, kernel_size=2, stride=2)
    assert "1/2·x + -1/4" in raised(ValueError, align.crop, n.pool, n.data)


def test_receptive_field_of_googlenet():
    """Table 1 of the paper: 907 with the classifier's 7×7 average, which the FCN does without."""
    rows = {row.name: row.blob.field for row in facts.walk(classifier("googlenet").build("deploy"))}
    assert (rows["pool5/7x7_s1"], rows["inception_5b/output"]) == (907, 715)
    found = facts.facts(read_net("voc-fcn-googlenet", "deploy"))
    assert (round(found.parameters / 1e6), found.field, found.stride) == (6, 715, 32)


def test_only_the_score_layer_of_fixed_nets_learns():
    for name in ("voc-fcn32s-fixed", "toy-fcn32s-fixed"):
        learning = [
            layer.name
            for layer in read_net(name, "train").layer
            if layer.type in ("Convolution", "Deconvolution", "Scale", "BatchNorm")
            and not (layer.param and all(p.lr_mult == 0 for p in layer.param))
        ]
        assert learning == ["score_fr"], name


def test_a_trunk_is_fixed_up_to_a_stride():
    rates = {
        layer.name: {p.lr_mult for p in layer.param}
        for layer in read_net("voc-fcn4s-lite0", "train").layer
        if layer.type == "Convolution" and layer.name.startswith(("stem", "block", "head"))
    }
    names = list(rates)
    last = names.index("block5_project")  # the end of stride 8
    assert all(rates[name] == {0} for name in names[: last + 1])
    assert all(min(rates[name]) > 0 for name in names[last + 1 :])


def test_learnt_upsampling_leaves_the_last_one_fixed():
    for name in ("voc-fcn8s-learned", "toy-fcn8s-learned"):
        rates = {
            layer.name: layer.param[0].lr_mult
            for layer in read_net(name, "train").layer
            if layer.type == "Deconvolution"
        }
        assert rates == {"upscore2": 1, "upscore_pool4": 1, "upscore8": 0}, name


def test_what_does_not_go_together_is_refused():
    assert "no backbone 'vgg13'; there are vgg16" in raised(
        ValueError, catalog.plan, datasets.VOC, "vgg13", 8
    )
    assert "strides 32, 16, 8; received 4" in raised(
        ValueError, catalog.plan, datasets.VOC, "vgg16", 4
    )
    assert "at once goes with" in raised(
        ValueError, catalog.plan, datasets.VOC, "vgg16", 32, at_once=True
    )
    assert "several need early or late fusion" in raised(
        ValueError, catalog.plan, datasets.NYUD_COLOR_HHA, "vgg16", 32
    )
    assert "two image blobs: nyud; received voc" in raised(
        ValueError, datasets.named, "voc", two_stream=True
    )
    assert "no dataset 'coco'" in raised(LookupError, datasets.named, "coco")


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
    path, net = described_folder(tmp_path), os.path.join(str(tmp_path), "net")
    arguments = ("--backbone", "toy", "--dataset", path, "--stride", "32", "--out", net)
    code, text = own(tmp_path, capsys, *arguments)
    assert code == 0 and f"next: python {net}/solve.py" in text, text
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


def test_what_is_missing_is_said(capsys):
    for given, words in (
        (["--backbone", "toy"], "needs --dataset or --classes and --stride and --out as well"),
        (["--out", "x"], "needs --backbone and --dataset or --classes and --stride as well"),
    ):
        raised(SystemExit, make.main, given)
        assert words in capsys.readouterr().err


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
