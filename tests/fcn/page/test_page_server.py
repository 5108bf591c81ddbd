"""The page's server: labels as infer.py does, refuses what is too much, says why."""

import argparse
import base64
import io
import os
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("starlette", reason="the page needs the package starlette (extra: page)")
pytest.importorskip("httpx", reason="starlette's test client needs the package httpx")

import bootstrap
import caffe
from data import toy
from fcn import catalog, random_weights
from fcn.page import command, nets, server
from fcn.page.guard import HEADERS, names_of_host

pytestmark = pytest.mark.slow

with warnings.catch_warnings():  # newer starlette wants httpx under another name
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

NET = "toy-fcn8s"


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    net = caffe.Net(os.path.join(bootstrap.ROOT, catalog.net_path(NET, "deploy")), caffe.TEST)
    random_weights.fill(net)
    path = str(tmp_path_factory.mktemp("weights") / "toy.caffemodel")
    net.save(path)
    return path


@pytest.fixture
def client(weights, monkeypatch):
    monkeypatch.chdir(bootstrap.ROOT)
    options = command.parse(["--net", NET, "--weights", weights, "--cpu"])
    offered = nets.offers(options, options.given)
    made = server.app(nets.Nets(offered, 100_000), names_of_host("127.0.0.1"), 300_000)
    with TestClient(made, base_url="http://127.0.0.1:8000") as client:
        yield client


def png(pixels, kind="PNG", **more):
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, kind, **more)
    return content.getvalue()


@pytest.fixture
def photo():
    import random

    return np.array(toy.draw(96, 64, random.Random(5))[0])


def test_a_photo_is_labelled_as_by_infer(client, photo):
    answer = client.post(f"/label?net={NET}", content=png(photo))
    assert answer.status_code == 200, answer.text
    value = answer.json()
    label = np.frombuffer(zlib.decompress(base64.b64decode(value["labels"])), np.uint8)
    label = label.reshape(value["height"], value["width"])
    assert label.shape == photo.shape[:2] and len(np.unique(label)) > 1
    for found in value["classes"]:
        assert found["name"] == toy.CLASSES[found["number"]]
        assert found["share"] == pytest.approx((label == found["number"]).mean(), abs=1e-5)
        assert found["colour"] == toy.PALETTE[found["number"]].tolist()
    stored = client.get(f"/results/{value['result']}/label.png")
    with Image.open(io.BytesIO(stored.content)) as image:
        assert image.mode == "P" and (np.array(image) == label).all()
    shown = client.get(f"/results/{value['result']}/photo.jpg")
    with Image.open(io.BytesIO(shown.content)) as image:
        assert np.abs(np.array(image).astype(int) - photo).mean() < 12


def test_a_turned_photo_comes_back_upright(client, photo):
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = np.ascontiguousarray(np.rot90(photo))
    value = client.post(f"/label?net={NET}", content=png(turned, "JPEG", exif=exif)).json()
    assert (value["height"], value["width"]) == photo.shape[:2]


def test_the_page_and_the_nets_on_offer(client):
    for path in ("/", "/page.js", "/page.css", "/icon.svg"):
        answer = client.get(path)
        assert answer.status_code == 200 and len(answer.content) > 100
        for name, value in HEADERS.items():
            assert answer.headers[name] == value
        assert b"https://" not in answer.content  # nothing from elsewhere
    offered = client.get("/nets").json()
    assert [net["name"] for net in offered["nets"]][:2] == [NET, "voc-fcn4s-lite0"]
    assert "cat" in offered["nets"][1]["knows"]
    assert (offered["bytes"], offered["pixels"]) == (300_000, 100_000)


@pytest.mark.parametrize(
    "path, content, status, words",
    [
        (f"/label?net={NET}", b"", 400, "no image was sent"),
        (f"/label?net={NET}", b"no image" * 99, 422, "it is none of BMP, GIF, JPEG"),
        (f"/label?net={NET}", b"x" * 300_001, 413, "larger than 0 MB"),
        ("/label?net=../../etc", None, 404, "no net '../../etc'"),
        ("/label", None, 404, "no net ''"),
    ],
)
def test_errors_are_readable(path, content, status, words, client, photo):
    answer = client.post(path, content=png(photo) if content is None else content)
    assert answer.status_code == status and words in answer.json()["error"]


def test_a_stream_without_a_length_is_cut_off(client):
    read = []

    def endless():
        while len(read) < 1000:
            read.append(0)
            yield b"x" * 10_000

    answer = client.post(f"/label?net={NET}", content=endless())
    assert answer.status_code == 413 and len(read) <= 1000


def test_an_image_of_too_many_pixels_is_not_decoded(client, monkeypatch):
    monkeypatch.setattr(nets, "read_photo", None)
    answer = client.post(f"/label?net={NET}", content=png(np.zeros((400, 500, 3), np.uint8)))
    assert answer.status_code == 413 and "500x400" in answer.json()["error"]


def test_strangers_are_refused(client, photo):
    answer = client.get("/nets", headers={"Host": "evil.example"})
    assert answer.status_code == 403 and "--allow-host" in answer.json()["error"]
    headers = {"Origin": "http://evil.example"}
    answer = client.post(f"/label?net={NET}", content=png(photo), headers=headers)
    assert answer.status_code == 403 and "own page only" in answer.json()["error"]


@pytest.mark.parametrize("path", ["/results/x/label.png", "/results/x/photo.jpg", "/nothing"])
def test_what_is_not_there(path, client):
    answer = client.get(path)
    assert answer.status_code == 404 and answer.json()["error"]


def test_only_the_last_results_are_kept_and_nothing_is_written(
    client, photo, tmp_path, monkeypatch
):
    before = sorted(os.listdir("."))
    small = png(photo[:16, :16])
    answers = [client.post(f"/label?net={NET}", content=small).json() for _ in range(9)]
    status = [client.get(f"/results/{a['result']}/label.png").status_code for a in answers]
    assert status == [404] + [200] * 8
    assert sorted(os.listdir(".")) == before
    monkeypatch.setattr(server, "PIXELS", 600)  # two of 256, not three
    answers = [client.post(f"/label?net={NET}", content=small).json() for _ in range(3)]
    status = [client.get(f"/results/{a['result']}/label.png").status_code for a in answers]
    assert status == [404, 200, 200]


def test_too_many_that_wait_are_told(client, photo, monkeypatch):
    monkeypatch.setattr(server, "WAITING", 0)
    answer = client.post(f"/label?net={NET}", content=png(photo))
    assert answer.status_code == 503 and "try again" in answer.json()["error"]


def test_a_fault_of_the_server_is_told_and_shown_in_its_terminal(weights, photo, monkeypatch):
    monkeypatch.chdir(bootstrap.ROOT)
    options = command.parse(["--net", NET, "--weights", weights, "--cpu"])
    made = server.app(
        nets.Nets(nets.offers(options, True), 10**6), names_of_host("127.0.0.1"), 10**6
    )
    monkeypatch.setattr(nets.labelling, "label", lambda *_: 1 / 0)
    with TestClient(made, "http://127.0.0.1", raise_server_exceptions=False) as client:
        answer = client.post(f"/label?net={NET}", content=png(photo))
        assert answer.status_code == 500 and "its terminal" in answer.json()["error"]


def test_few_nets_stay_loaded(weights, photo, monkeypatch):
    monkeypatch.chdir(bootstrap.ROOT)
    monkeypatch.setattr(nets, "KEPT", 1)
    options = command.parse(["--net", NET, "--weights", weights, "--cpu"])
    kept = nets.Nets(nets.offers(options, True), 10**6)
    for name in (NET, "camvid-fcn8s", NET):
        kept.label(name, png(photo))
        assert list(kept._loaded) == [name]
    kept.close()


def test_each_head_of_a_net_is_offered(monkeypatch):
    """SIFT Flow's nets say what a thing is and how its surface lies."""
    monkeypatch.setattr(nets, "_has_weights", lambda name: name == "siftflow-fcn8s")
    plain = argparse.Namespace(net="none", classes=None)
    made = nets.offers(plain, False)
    assert [(offer.name, offer.head) for offer in made] == [
        ("siftflow-fcn8s", 0),
        ("siftflow-fcn8s, geo", 1),
    ]
    assert "sky" in made[0].knows and "horizontal" in made[1].knows
    assert made[0].options is made[1].options
