"""Which weights are found: the user's own, the repository's, the published ones."""

import os

from fcn_helpers import ROOT, raised

from fcn.weights import find


def test_the_first_that_is_there(tmp_path):
    first, second = (os.path.join(str(tmp_path), name) for name in ("a", "b"))
    places = ((first, "trained"), (second, "published"))
    text = raised(find.MissingWeights, find.find, places, None, "toy needs weights")
    assert text.startswith("toy needs weights.") and "--weights" in text, text
    assert first in text and second in text and "published" in text, text
    for path in (second, first):
        with open(path, "w"):
            pass
        assert find.find(places, None, "") == path
    assert find.find(places, second, "") == second
    gone = os.path.join(str(tmp_path), "gone")
    assert gone in raised(find.MissingWeights, find.find, places, gone, "")


def test_places_of_an_experiment():
    paths = [path for path, _ in find.trained("voc-fcn8s", "results")]
    assert paths == [
        os.path.join("results", "voc-fcn8s-best.caffemodel"),
        os.path.join("results", "voc-fcn8s.caffemodel"),
        "nets/voc-fcn8s/voc-fcn8s.caffemodel",
        "nets/voc-fcn8s/fcn8s-heavy-pascal.caffemodel",
    ]
    paths = [path for path, _ in find.trained("camvid-fcn8s")]
    assert paths == [
        os.path.join(ROOT, "out", "camvid-fcn8s-best.caffemodel"),
        os.path.join(ROOT, "out", "camvid-fcn8s.caffemodel"),
        "nets/camvid-fcn8s/camvid-fcn8s.caffemodel",
    ]
