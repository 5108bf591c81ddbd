"""The page as a user has it, in headless Chromium: drop, slide, switch off, point, download."""

import base64
import io
import os
import threading
import time

import numpy as np
import pytest
from PIL import Image

uvicorn = pytest.importorskip("uvicorn", reason="the page needs uvicorn (extra: page)")

import bootstrap  # noqa: E402
import caffe  # noqa: E402
from fcn.page import command, nets, server  # noqa: E402
from fcn.page.guard import names_of_host  # noqa: E402

DROP = """
async ([base64, name]) => {
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  const data = new DataTransfer();
  data.items.add(new File([bytes], name));
  const event = (kind) => new DragEvent(kind, { dataTransfer: data, bubbles: true });
  document.body.dispatchEvent(event("dragover"));
  document.body.dispatchEvent(event("drop"));
}
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A server whose net tells bright from dark: class 1 where a pixel is bright."""
    folder = str(tmp_path_factory.mktemp("net"))
    prototxt = """
    layer { name: "i" type: "Input" top: "data" input_param { shape { dim: [1, 3, 40, 60] } } }
    layer { name: "score" type: "Convolution" bottom: "data" top: "score"
      convolution_param { num_output: 2 kernel_size: 1 } }
    """
    for name, text in (("deploy.prototxt", prototxt), ("c.txt", "background\ncat\t9 200 30\n")):
        with open(os.path.join(folder, name), "w") as file:
            file.write(text)
    net = caffe.Net(os.path.join(folder, "deploy.prototxt"), caffe.TEST)
    net.params["score"][0].data[1] = 1 / 3
    net.params["score"][0].data[0] = 0
    net.params["score"][1].data[...] = (128, 0)
    net.save(os.path.join(folder, "m.caffemodel"))
    options = command.parse(["--net", folder, "--classes", os.path.join(folder, "c.txt"), "--cpu"])
    before = os.getcwd()
    os.chdir(bootstrap.ROOT)
    offered = nets.Nets(nets.offers(options, True), 10**6)
    made = server.app(offered, names_of_host("127.0.0.1"), 10**6)
    listening = command._listen("127.0.0.1", 0)
    running = uvicorn.Server(uvicorn.Config(made, log_level="error", ws="none"))
    running.install_signal_handlers = lambda: None
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not running.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    running.should_exit = True
    thread.join(10)
    listening.close()
    os.chdir(before)


@pytest.fixture
def page(address, browser):
    made = browser.new_page(viewport={"width": 1100, "height": 700}, accept_downloads=True)
    made.problems = []
    made.on("pageerror", lambda error: made.problems.append(str(error)))
    made.on("request", lambda request: address in request.url or made.problems.append(request.url))
    made.goto(address)
    made.wait_for_selector("#net option", state="attached")
    yield made
    made.close()


@pytest.fixture
def photo():
    """Dark on the left, bright on the right."""
    pixels = np.full((40, 60, 3), (60, 20, 10), np.uint8)
    pixels[:, 30:] = (250, 200, 180)
    return pixels


def drop(page, pixels, name="my photo.png", kind="PNG"):
    content = io.BytesIO()
    if isinstance(pixels, bytes):
        content.write(pixels)
    else:
        Image.fromarray(pixels).save(content, kind)
    page.evaluate(DROP, [base64.b64encode(content.getvalue()).decode(), name])


def drawn(page):
    """What the canvas shows, once it has been drawn anew."""
    page.wait_for_timeout(100)
    url = page.evaluate("document.getElementById('canvas').toDataURL('image/png')")
    with Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))) as image:
        return np.array(image.convert("RGB")).astype(int)


def test_drop_slide_switch_and_point(page, photo):
    assert "knows cat" in page.locator("#knows").inner_text()
    drop(page, photo)
    page.wait_for_selector("#panel:not([hidden])")
    assert page.locator("#title").inner_text() == "cat"
    assert page.locator("#classes label").all_inner_texts() == ["background\n50.0 %", "cat\n50.0 %"]
    shown = drawn(page)
    assert shown.shape == photo.shape
    assert (shown[:, :28] == photo[:, :28]).all()  # the background stays as it is
    assert (shown[5, 50] != photo[5, 50]).any() and shown[5, 50, 1] > shown[5, 50, 0]  # greenish
    assert tuple(shown[5, 30]) == (9, 200, 30)  # the outline has the class's colour
    page.locator("#opacity").fill("0")
    assert (drawn(page) == photo).all() and page.locator("#percent").inner_text() == "0 %"
    page.locator("#opacity").fill("100")
    strong = drawn(page)
    assert abs(strong[5, 50] - photo[5, 50]).sum() > abs(shown[5, 50] - photo[5, 50]).sum()
    page.locator("#classes input:not(:disabled)").uncheck()
    page.mouse.move(5, 5)
    assert (drawn(page) == photo).all()
    page.locator("#all").click()
    assert (drawn(page) == strong).all()
    box = page.locator("#canvas").bounding_box()
    for part, name in ((0.2, "background"), (0.9, "cat")):
        page.mouse.move(box["x"] + box["width"] * part, box["y"] + box["height"] / 2)
        assert page.locator("#tip").inner_text() == name
        assert name in page.locator("#classes .pointed").inner_text()
    page.mouse.move(5, 5)
    assert page.locator("#tip").is_hidden()
    page.locator("#classes label").nth(1).hover()
    alone = drawn(page)
    assert alone[5, 5].sum() < photo[5, 5].sum() / 2  # all else is dimmed
    assert page.problems == []


def test_downloads(page, photo, tmp_path):
    drop(page, photo)
    page.wait_for_selector("#panel:not([hidden])")
    with page.expect_download() as waiting:
        page.locator("#label").click()
    assert waiting.value.suggested_filename == "my photo_label.png"
    with Image.open(waiting.value.path()) as image:
        assert image.mode == "P" and (np.array(image) == (photo[:, :, 0] > 128)).all()
        assert image.getpalette()[3:6] == [9, 200, 30]
    with page.expect_download() as waiting:
        page.locator("#overlay").click()
    assert waiting.value.suggested_filename == "my photo_overlay.png"
    with Image.open(waiting.value.path()) as image:
        page.mouse.move(5, 5)
        assert (np.array(image.convert("RGB")) == drawn(page)).all()
    assert page.problems == []


def test_a_kind_that_browsers_do_not_show(page, photo):
    drop(page, photo, "scan.tif", "TIFF")
    page.wait_for_selector("#panel:not([hidden])")
    assert np.abs(drawn(page)[:, :28] - photo[:, :28]).mean() < 6  # by way of a JPEG


def test_errors_are_seen_and_the_next_image_is_taken(page, photo):
    drop(page, b"no image", "notes.txt")
    page.wait_for_selector("#error:not([hidden])")
    assert "it is none of BMP" in page.locator("#error").inner_text()
    assert page.locator("#busy").is_hidden()
    drop(page, np.zeros((1100, 1000, 3), np.uint8))
    page.locator("#error", has_text="1000x1100").wait_for()
    drop(page, photo)
    page.wait_for_selector("#panel:not([hidden])")
    assert page.locator("#error").is_hidden()


def test_nothing_that_an_image_is_called_becomes_part_of_the_page(page, photo):
    drop(page, photo, "<img src=x onerror=alert(1)>.png")
    page.wait_for_selector("#panel:not([hidden])")
    assert page.locator("#panel img").count() == 0 and page.problems == []
