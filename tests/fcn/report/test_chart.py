"""Line charts as SVG."""

import pytest

from fcn.report.chart import Line, chart

pytestmark = pytest.mark.slow


def test_a_chart_without_numbers_is_left_out():
    assert chart("t", [Line("a", [], [])], "x") == ""
    assert chart("t", [Line("a", [1.0], [float("nan")])], "x") == ""
    assert "polyline" in chart("t", [Line("a", [5.0], [2.0])], "x")
