"""What the labels of a dataset hold, counted."""

import numpy as np

from data.preparing.survey import Survey


def test_pixels_images_and_sizes_are_counted():
    survey = Survey(3, ["a", "b", "c"])
    survey.add(np.array([[0, 0, 1], [255, 1, 1]], np.uint8), "one.png")
    survey.add(np.array([[0, 0, 0]], np.uint8), "two.png")
    survey.add(np.full((1, 3), 255, np.uint8), "three.png")
    assert survey.present() == [0, 1] and survey.absent() == ["2 c"]
    assert survey.ignored == 4 / 12 and survey.empty == ["three.png"]
    assert survey.size_text() == "2 sizes, 2 of 3x1"
    rows = [line.split() for line in survey.table()[1:]]
    assert rows[0] == ["0", "a", "5", "41.67%", "2"] and rows[2] == ["2", "c", "0", "0.00%", "0"]
    assert rows[-1] == ["255", "(does", "not", "count)", "4", "33.33%", "2"]


def test_without_a_number_of_classes_whatever_is_there_counts():
    survey = Survey()
    survey.add(np.array([[7, 7]], np.uint8), "a.png")
    assert survey.present() == [7] and survey.absent() == [] and survey.size_text() == "all 2x1"
    assert [line.split()[0] for line in survey.table()[1:]] == ["7", "255"]
