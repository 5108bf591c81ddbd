"""The documentation as a site: no warning, every page in it, nothing from elsewhere."""

import os
import re
import subprocess
import sys
import urllib.parse

import pytest

pytest.importorskip("material", reason="the site needs mkdocs-material (extra: docs)")

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("site"))
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder],
        cwd=ROOT,
        env=dict(os.environ, NO_MKDOCS_2_WARNING="1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return folder


def html(site):
    for name in sorted(os.listdir(site)):
        if name.endswith(".html"):
            with open(os.path.join(site, name), encoding="utf-8") as file:
                yield name, file.read()


def test_every_page_is_there(site):
    made = {name for name, _ in html(site)}
    pages = {name for name in os.listdir(os.path.join(ROOT, "docs")) if name.endswith(".md")}
    assert {name.replace(".md", ".html") for name in pages} <= made and len(pages) > 15


def test_the_browser_asks_nobody_else(site):
    for name, text in html(site):
        asked = re.findall(r'<(?:script|img|iframe)[^>]*\ssrc="([^"]+)"', text)
        asked += re.findall(r'<link[^>]*rel="(?:stylesheet|icon|preload|preconnect)[^>]*>', text)
        assert asked, name
        for found in asked:
            assert "//" not in found.replace("data:", ""), f"{name}: {found}"


def test_links_lead_to_pages_and_pictures_that_are_there(site):
    seen = 0
    for name, text in html(site):
        if name == "404.html":
            continue
        for link in re.findall(r'(?:href|src)="([^"#?:]+)(?:#[^"]*)?"', text):
            if not link.startswith("/") and link not in (".", ""):
                path = os.path.join(site, urllib.parse.unquote(link))
                assert os.path.exists(path), f"{name}: {link}"
                seen += 1
    assert seen > 500
