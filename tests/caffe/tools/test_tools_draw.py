"""`caffe draw`: what its flags say of sizes and of itself."""

import pytest

from caffe.cli import main
from caffe.tools.draw import _size
from caffe.tools.flags import UsageError


def test_a_size_is_width_by_height_and_comes_as_height_and_width():
    assert _size("500x334") == (334, 500) and _size("") is None


@pytest.mark.parametrize("text", ["0x5", "5", "5x", "x5", "1234567x1", "5X5"])
def test_what_is_no_size(text):
    with pytest.raises(UsageError, match="--size is WIDTHxHEIGHT such as 500x334; received"):
        _size(text)


@pytest.mark.parametrize("line", ["", "net.prototxt", "--html p.html", "--html p.html a b"])
def test_without_page_or_net_the_usage_is_shown(line, capsys):
    main(["draw", *line.split()])
    printed = capsys.readouterr()
    assert "usage: draw --html PAGE.html NET.prototxt" in printed.out + printed.err
