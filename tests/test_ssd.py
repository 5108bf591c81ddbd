"""examples/ssd.py: on a narrow net with random weights, and on WeChat's where a checkout has it."""

import os

import numpy as np
import pytest
import ssd_nets
from PIL import Image

import bootstrap
import caffe
from examples import ssd

FCN_DATA = os.environ.get("FCN_DATA", os.path.join(bootstrap.ROOT, os.pardir, "shared", "data"))
WECHAT = os.path.join(FCN_DATA, "caffemodels", "wechat_qrcode", "detect")

LABEL_MAP = """
item { name: "none_of_the_above" label: 0 display_name: "background" }
item {
  name: "n02"
  label: 1
  display_name: "cat or dog"
}"""


def test_pictures_are_stretched_to_the_input_in_the_order_of_its_channels():
    image = Image.new("RGB", (40, 20), (10, 20, 30))
    blob = ssd.prepared(image, (3, 8, 6), (1, 2, 3), 0.5)
    assert blob.shape == (1, 3, 8, 6) and blob.dtype == np.float32
    assert blob[0, :, 0, 0].tolist() == [14.5, 9, 3.5]
    assert ssd.prepared(image, (1, 8, 6), (0,), 1).shape == (1, 1, 8, 6)
    with pytest.raises(SystemExit, match="1 number or 3, got 2"):
        ssd.prepared(image, (3, 8, 6), (1, 2), 1)


def test_names_from_both_kinds_of_files(tmp_path):
    path = tmp_path / "labels"
    path.write_text(LABEL_MAP)
    assert ssd.names_of(path) == {0: "background", 1: "cat or dog"}
    path.write_text("background\nface\n")
    assert ssd.names_of(path)[1] == "face"


def test_boxes_are_drawn_on_a_copy():
    image = Image.new("RGB", (50, 40))
    picture = ssd.drawn(image, [[1, 0.9, 5, 20, 30, 35]], {1: "face"})
    assert picture.getpixel((5, 30)) == (92, 206, 144)
    assert image.getcolors() == [(2000, (0, 0, 0))]


def test_a_net_of_mobilenets_layers(tmp_path, capsys):
    net, weights, photo = (str(tmp_path / n) for n in ("n.prototxt", "n.caffemodel", "p.png"))
    with open(net, "w") as file:
        file.write(ssd_nets.mobilenet_ssd(width=16).replace("threshold: 0.25", "threshold: 0.01"))
    caffe.set_random_seed(0)
    caffe.Net(net, caffe.TEST).save(weights)
    pixels = np.random.RandomState(0).randint(0, 256, (60, 80, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(photo)
    words = [photo, "--net", net, "--weights", weights, "--mean", "127.5", "--scale", "0.007843"]
    ssd.main([*words, "--least", "0.02", "--out", str(tmp_path / "out.png")])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 101 and lines[-1].startswith("100 objects; wrote ")
    assert lines[0].startswith("label ") and "% at " in lines[0]
    with Image.open(str(tmp_path / "out.png")) as image:
        assert image.size == (80, 60) and np.abs(np.array(image, int) - pixels).max() > 50


def code(size=25, scale=6):
    """Something like a QR code: three corners with their squares, and noise."""
    modules = np.random.RandomState(1).randint(0, 2, (size, size))
    corner = np.pad(np.pad(np.pad(np.zeros((3, 3)), 1, constant_values=1), 1), 1, constant_values=1)
    modules[:8, :8] = corner[1:, 1:]
    modules[:8, -8:] = corner[1:, :-1]
    modules[-8:, :8] = corner[:-1, 1:]
    return np.kron(modules, np.ones((scale, scale))) * 255


@pytest.mark.skipif(not os.path.isfile(WECHAT + ".caffemodel"), reason="WeChat's net is not there")
@pytest.mark.filterwarnings("ignore")
def test_wechats_net_finds_a_code(tmp_path, capsys):
    part = code()
    pixels = np.full((400, 500), 210, np.uint8)
    pixels[120 : 120 + len(part), 260 : 260 + len(part)] = part
    Image.fromarray(pixels).save(tmp_path / "p.png")
    words = [
        "--net",
        WECHAT + ".prototxt",
        "--weights",
        WECHAT + ".caffemodel",
        "--scale",
        "0.00392",
    ]
    ssd.main([str(tmp_path / "p.png"), *words, "--out", str(tmp_path / "out.png")])
    line, last = capsys.readouterr().out.splitlines()
    assert last.startswith("1 objects")
    found = [int(n) for pair in line.split(" at ")[1].split(" to ") for n in pair.split(",")]
    assert np.abs(np.array(found) - [260, 120, 260 + len(part), 120 + len(part)]).max() < 15
