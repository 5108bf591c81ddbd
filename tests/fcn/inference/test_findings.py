"""What a label map says, and when it says nothing."""

import numpy as np

from fcn.inference.findings import findings, mostly_background

NAMES = ("background", "cat", "dog")


def picture(cats, dogs=0):
    label = np.zeros((100, 100), np.uint8)
    label.ravel()[:cats] = 1
    label.ravel()[cats : cats + dogs] = 2
    return label


def nothing(label, certainty, names=NAMES):
    return mostly_background(label, findings(label, names), certainty)


def test_findings_are_sorted_by_size():
    found = findings(picture(100, 900), NAMES)
    assert [one.name for one in found] == ["background", "dog", "cat"]
    assert [one.pixels for one in found] == [9000, 900, 100] and found[1].share == 0.09


def test_uncertain_specks_are_no_things_and_small_certain_things_are():
    assert nothing(picture(500), lambda chosen: 0.5)
    assert not nothing(picture(500), lambda chosen: 0.8)
    assert not nothing(picture(500, 100), lambda chosen: 0.8 if chosen.sum() == 100 else 0.4)
    assert nothing(picture(20), lambda chosen: 0.99)  # a speck is a speck
    assert nothing(picture(0), lambda chosen: 1)
    assert not nothing(picture(3000), lambda chosen: 0.1)  # a third of it is something


def test_a_net_without_background_always_names():
    assert not nothing(picture(0), lambda chosen: 0.1, ("sky", "road"))
