"""Make docs/images/page.jpg anew: the page of page.py with a labelled photograph, in Chromium.

python docs/make_page_picture.py [--photo FILE] [--out FILE]

Needs `pip install ".[page]" playwright` and Chromium; the photograph is scikit-image's astronaut
(NASA, public domain) unless --photo names another.
"""

import argparse
import io
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

from PIL import Image

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir)
PICTURE = os.path.join(ROOT, "docs", "images", "page.jpg")
SIZE = {"width": 1200, "height": 680}


def _astronaut():
    import skimage

    return os.path.join(os.path.dirname(skimage.__file__), "data", "astronaut.png")


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait(address, server, seconds=180):
    end = time.time() + seconds
    while time.time() < end:
        if server.poll() is not None:
            raise SystemExit(f"page.py ended with status {server.returncode}")
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except OSError:
            time.sleep(0.5)
    raise SystemExit(f"{address} did not answer within {seconds} s")


def shot(address, photo, chromium):
    """The page as PNG bytes, with the photograph labelled and the pointer on its middle."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport=SIZE)
        page.set_default_timeout(180_000)
        for _ in range(2):  # the first one waits until the net is there
            page.goto(address)
            page.set_input_files("#file", photo)
            page.wait_for_selector("#panel:not([hidden])")
        box = page.locator("#canvas").bounding_box()
        page.mouse.move(box["x"] + 0.39 * box["width"], box["y"] + 0.69 * box["height"])
        page.wait_for_timeout(500)
        taken = page.screenshot()
        browser.close()
    return taken


def main():
    parser = argparse.ArgumentParser(allow_abbrev=False, description=__doc__.splitlines()[0])
    parser.add_argument("--photo", metavar="FILE", help="(default: scikit-image's astronaut)")
    parser.add_argument("--out", default=PICTURE, metavar="FILE", help="(default: page.jpg)")
    args = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise SystemExit("no chromium is installed (apt-get install chromium)")
    port = _free_port()
    command = [sys.executable, os.path.join(ROOT, "page.py"), "--cpu", "--port", str(port)]
    server = subprocess.Popen(command)
    try:
        address = f"http://127.0.0.1:{port}"
        _wait(address, server)
        taken = shot(address, args.photo or _astronaut(), chromium)
    finally:
        server.terminate()
        server.wait()
    Image.open(io.BytesIO(taken)).convert("RGB").save(args.out, quality=88)
    print(args.out)


if __name__ == "__main__":
    main()
