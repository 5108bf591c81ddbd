"""The page of a net: by the command, whole, escaped, and looked at in a browser."""

import os
import re

import pytest
from drawn_net import NET, read

import caffe
from caffe.cli import main
from caffe.viewer import view


def test_the_command_writes_one_page_that_needs_nothing_else(net, tmp_path, capsys):
    page = str(tmp_path / "net.html")
    assert main(["draw", "--html", page, net, "--size", "64x40"]) == 0
    assert capsys.readouterr().out == f"Wrote {page}\n"
    text, boxes = read(page)
    assert not re.search(r"https?://|src=|url\((?!#)|@import", text)
    assert "default-src 'none'" in text and "small &lt;net&gt;" in text
    assert text.count("</script>") == 2 and text.count("<script") == 2
    assert [[layer["name"] for layer in box] for box in boxes] == [
        ["data"],
        ["conv</script>", "relu"],
        ["up"],
        ["score"],
    ]
    facts = dict(boxes[1][0]["facts"])
    assert facts["shape"] == "1×4×20×32" and facts["receptive field"] == "3 pixels"
    assert facts["stride"] == "2 pixels of the input" and facts["multiply-adds"] == "69.1 k"
    assert "num_output: 4" in boxes[1][0]["text"]
    assert text.count('class="box"') == 4 and text.count('class="edge') == 4


def test_a_net_whose_data_is_not_here_is_drawn_without_shapes(tmp_path, capsys):
    path = tmp_path / "train.prototxt"
    path.write_text(
        'layer { name: "d" type: "Data" top: "data" '
        'data_param { source: "missing" batch_size: 1 } }' + NET[NET.index('layer { name: "conv') :]
    )
    page = str(tmp_path / "net.html")
    assert main(["draw", "--html", page, str(path)]) == 0
    assert "Without shapes, because the net cannot be built: " in capsys.readouterr().out
    text, boxes = read(page)
    assert len(boxes) == 4 and "Without shapes: " in text
    assert main(["draw", "--html", page, str(path), "--time"]) == 1  # that needs a net


def test_where_the_receptive_field_is_not_known_it_says_so(tmp_path):
    """MVN's values depend on the whole image, and so does all that follows."""
    path, page = tmp_path / "net.prototxt", str(tmp_path / "net.html")
    path.write_text(
        'layer { name: "data" type: "Input" top: "data" '
        "input_param { shape { dim: [1, 3, 8, 8] } } }"
        'layer { name: "mvn" type: "MVN" bottom: "data" top: "mvn" }'
        'layer { name: "conv" type: "Convolution" bottom: "mvn" top: "conv" '
        "convolution_param { num_output: 2 kernel_size: 3 } }"
    )
    view(str(path), page, caffe.TEST)
    _, boxes = read(page)
    facts = {layer["name"]: dict(layer["facts"]) for box in boxes for layer in box}
    assert "receptive field" not in facts["data"] or "1 pixel" in facts["data"]["receptive field"]
    for name in ("mvn", "conv"):
        assert facts[name]["receptive field"].startswith("not known"), facts[name]


@pytest.mark.parametrize(
    "more, words",
    [
        (["--size", "3"], "--size is WIDTHxHEIGHT"),
        (["--phase", "ALL"], "--phase is TRAIN or TEST"),
        (["--iterations", "0"], "at least 1"),
        (["--gpu", "all"], "the number of one GPU"),
    ],
)
def test_wrong_flags(more, words, net, tmp_path, capsys):
    assert main(["draw", "--html", str(tmp_path / "p.html"), net, *more]) == 1
    assert words in capsys.readouterr().err and not (tmp_path / "p.html").exists()


@pytest.mark.slow
def test_in_a_browser(net, tmp_path, browser):
    path = str(tmp_path / "net.html")
    view(net, path, caffe.TEST)
    page = browser.new_page()
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text))
    page.goto("file://" + os.path.abspath(path))
    page.locator(".box").nth(1).click()
    panel = page.locator("aside").inner_text()
    assert "conv</script>" in panel and "relu" in panel and "num_output: 4" in panel
    assert page.locator(".box.chosen").count() == 1 and page.locator(".edge.near").count() == 2
    page.locator("#find").fill("deconv")
    assert page.locator(".box.found").count() == 1
    before = page.locator("svg").get_attribute("viewBox")
    page.locator("#in").click()
    assert page.locator("svg").get_attribute("viewBox") != before
    page.locator("#whole").click()
    assert page.locator("svg").get_attribute("viewBox") == before
    assert problems == []
