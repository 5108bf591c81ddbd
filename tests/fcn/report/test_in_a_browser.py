"""The report as Chromium draws it: no error, every picture there, nothing asked of a network."""

import pytest
from made_run import make

from fcn.report import command

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.slow


def test_all_of_it_is_drawn(tmp_path, browser):
    folders = [make(tmp_path / name, name, seed) for seed, name in enumerate(("one", "two"))]
    path = command.write(folders, str(tmp_path / "report.html"))
    told, asked = [], []
    for width in (1280, 390):
        page = browser.new_page(viewport={"width": width, "height": 800})
        page.on("console", lambda message: told.append(message.text))
        page.on("pageerror", lambda error: told.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto("file://" + path)
        loaded = "i => i.complete && i.naturalWidth > 10"
        pictures = page.locator("img")
        assert pictures.count() == 2 * (4 * 5 + 2 * 4 * 4)
        assert page.evaluate(f"[...document.images].every({loaded})")
        # Nothing reaches beyond the window but what scrolls by itself.
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for chart in page.locator("svg").all():
            box = chart.bounding_box()
            assert box["width"] > 250 and box["height"] > 120
        bar = page.locator("#run1-classes ~ div .bar i").first.bounding_box()
        whole = page.locator("#run1-classes ~ div .bar").first.bounding_box()
        assert 0.5 < bar["width"] / whole["width"] <= 1
        diagonal = page.locator("#run1-confusion ~ div .heat tbody tr td:nth-child(2)").first
        colour = diagonal.evaluate("cell => getComputedStyle(cell).backgroundColor")
        assert colour not in ("rgba(0, 0, 0, 0)", ""), colour
        page.close()
    assert told == []
    assert [url for url in asked if not url.startswith("data:")] == 2 * ["file://" + path]
