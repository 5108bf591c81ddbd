"""score_cityscapes.py on a small folder: its labels, its measures, its text."""

import contextlib
import io
import os

import cityscapes_sample
import numpy as np
from fcn_helpers import raised
from PIL import Image

import caffe
import score
from examples import score_cityscapes as script


def expected_hist(folder, arguments):
    """The histogram, by the interface's other ways: io.Transformer, forward_all, score.py."""
    given = dict(zip(arguments[::2], arguments[1::2]))
    net = caffe.Net(given["--deploy"], caffe.TEST, weights=given["--weights"])
    width, height = cityscapes_sample.SIZE
    net.blobs["data"].reshape(1, 3, height, width)
    transformer = caffe.io.Transformer({"data": (1, 3, height, width)})
    transformer.set_transpose("data", (2, 0, 1))
    transformer.set_channel_swap("data", (2, 1, 0))
    transformer.set_mean("data", np.array([float(v) for v in script.MEAN.split(",")]))
    ids = [label_id for _, label_id in script.CLASSES]
    hist = 0
    for name in cityscapes_sample.NAMES:
        city = os.path.join(folder, "gtFine", "val", name.split("_")[0])
        with Image.open(os.path.join(city, name + "_gtFine_labelIds.png")) as image:
            labels = [ids.index(v) if v in ids else 255 for v in np.array(image).ravel()]
        photo = os.path.join(given["--result-dir"], name + "_leftImg8bit.png")
        with Image.open(photo) as image:
            pixels = np.array(image.resize((width, height), Image.BICUBIC), np.float32)
        scores = net.forward_all(data=transformer.preprocess("data", pixels)[None])["score"]
        hist = hist + score.fast_hist(labels, scores.argmax(1), 19)
    return hist


def test_measures_are_those_of_another_way(tmp_path):
    folder = str(tmp_path)
    arguments = cityscapes_sample.make_sample(folder)
    with contextlib.redirect_stdout(io.StringIO()) as output:
        script.main([*arguments, "--output-dir", os.path.join(folder, "out")])
    printed = output.getvalue().splitlines()
    with open(os.path.join(folder, "out", "evaluation_results.txt")) as f:
        lines = f.read().splitlines()
    assert printed == ["Evaluating: 0/3", *lines]
    hist = expected_hist(folder, arguments)
    measures = score.metrics(hist)
    assert len(np.flatnonzero(hist.sum(0))) > 4, "the net finds one thing only"
    assert lines[:3] == [
        f"Mean pixel accuracy: {measures.overall_accuracy:f}",
        f"Mean class accuracy: {measures.mean_accuracy:f}",
        f"Mean class IoU: {measures.mean_iu:f}",
    ]
    assert lines[4] == f"road           : acc = {measures.accuracy[0]:f}, iou = {measures.iu[0]:f}"
    assert len(lines) == 4 + 19


def test_train_ids_are_taken_as_they_are(tmp_path):
    city = os.path.join(str(tmp_path), "gtFine", "val", "ulm")
    os.makedirs(city)
    ids = np.array([[7, 8, 33], [0, 26, 255]], np.uint8)
    Image.fromarray(ids).save(os.path.join(city, "ulm_0_1_gtFine_labelIds.png"))
    assert script.label_names(str(tmp_path), "val") == ["ulm_0_1"]
    wanted = [[0, 1, 18], [255, 13, 255]]
    assert script.load_label(str(tmp_path), "val", "ulm_0_1").tolist() == wanted
    Image.fromarray(ids % 19).save(os.path.join(city, "ulm_0_1_gtFine_labelTrainIds.png"))
    assert script.label_names(str(tmp_path), "val") == ["ulm_0_1"]
    assert script.load_label(str(tmp_path), "val", "ulm_0_1").tolist() == (ids % 19).tolist()


def test_nothing_to_score_is_said(tmp_path):
    given = [
        "--cityscapes-dir",
        str(tmp_path),
        "--result-dir",
        "r",
        "--deploy",
        "d",
        "--weights",
        "w",
    ]
    assert "no label maps below" in raised(SystemExit, script.main, given)
