"""The weights in the repository: small, whole, and what infer.py uses when nothing is said."""

import os
import subprocess
import sys

import numpy as np
from PIL import Image

import bootstrap
import caffe
import surgery

PATH = os.path.join(bootstrap.ROOT, "nets", "camvid-fcn8s", "camvid-fcn8s.caffemodel")


def test_under_ten_megabytes_with_its_log():
    assert 1e6 < os.path.getsize(PATH) < 10e6
    log = os.path.join(os.path.dirname(PATH), "training.log")
    with open(log) as f:
        text = f.read()
    for stage in ("32s", "16s", "8s"):
        assert f"camvid-fcn{stage} on pycaffe-torch" in text
    assert "/camvid" not in text.replace("out/camvid", ""), "a path of the machine it ran on"


def test_every_parameter_of_the_net_is_in_it():
    net = caffe.Net(os.path.join(os.path.dirname(PATH), "deploy.prototxt"), caffe.TEST)
    report = surgery.load(net, PATH)
    assert not report.left and not report.dropped and not report.coerced
    for name, blobs in net.params.items():
        for blob in blobs:
            assert np.isfinite(blob.data).all(), name
        assert np.abs(blobs[0].data).max() > 0, name


def test_a_sky_above_a_road_is_seen(tmp_path):
    """Grey below, pale blue above, in an odd size: what a road scene has at the least."""
    picture = np.empty((241, 363, 3), np.uint8)
    picture[:120] = (200, 215, 235)
    picture[120:] = (90, 88, 92)
    noise = np.random.RandomState(0).randint(-6, 7, picture.shape)
    Image.fromarray((picture + noise).clip(0, 255).astype(np.uint8)).save(tmp_path / "scene.png")
    command = [
        sys.executable,
        os.path.join(bootstrap.ROOT, "infer.py"),
        "scene.png",
        "--weights",
        PATH,
    ]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    label = np.array(Image.open(next(tmp_path.glob("**/scene_label.png"))))
    assert label.shape == (241, 363)
    assert (label[:80] == 0).mean() > 0.5  # class 0: sky
    assert (label[200:] == 3).mean() > 0.5  # class 3: road
