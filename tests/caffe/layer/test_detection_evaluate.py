"""DetectionEvaluate: small cases by hand, and what it refuses."""

import numpy as np
import pytest
from harness import Rig

from caffe.errors import DataError, LayerError, ShapeError

# item, label, instance, xmin, ymin, xmax, ymax, difficult
OBJECTS = [
    [0, 1, 0, 0.0, 0.0, 0.4, 0.4, 0],
    [0, 1, 1, 0.5, 0.5, 0.9, 0.9, 1],
    [1, 2, 0, 0.2, 0.2, 0.6, 0.6, 0],
]
# item, label, score, xmin, ymin, xmax, ymax
FOUND = [
    [0, 1, 0.6, 0.0, 0.0, 0.4, 0.38],  # the first object again, with a lower score
    [0, 1, 0.9, 0.0, 0.0, 0.4, 0.4],
    [0, 1, 0.8, 0.5, 0.5, 0.9, 0.85],  # the difficult one
    [0, 1, 0.3, 0.0, 0.5, 0.4, 0.9],  # nothing there
    [0, 2, 0.7, 0.0, 0.0, 0.4, 0.4],  # no object of that label in item 0
    [1, 2, 0.5, 0.2, 0.2, 0.6, 0.45],  # overlaps by 0.625
    [2, 1, 0.4, 0.0, 0.0, 0.4, 0.4],  # an item without objects
]


def run(settings="", found=FOUND, objects=OBJECTS, passes=1):
    text = f'type: "DetectionEvaluate" detection_evaluate_param {{ num_classes: 3 {settings} }}'
    arrays = [np.array(a, np.float32).reshape(1, 1, len(a), -1) for a in (found, objects)]
    rig = Rig(text, *[a.shape for a in arrays], phase=1)
    for _ in range(passes):
        top = rig.forward(*arrays)
    return top[0, 0].round(4).tolist()


def test_true_and_false_positives(device):
    assert run() == [
        [-1, 1, 2, -1, -1],
        [-1, 2, 1, -1, -1],
        [0, 1, pytest.approx(0.9), 1, 0],
        [0, 1, pytest.approx(0.8), 1, 0],
        [0, 1, pytest.approx(0.6), 0, 1],
        [0, 1, pytest.approx(0.3), 0, 1],
        [0, 2, pytest.approx(0.7), 0, 1],
        [1, 2, 0.5, 1, 0],
        [2, 1, pytest.approx(0.4), 0, 1],
    ]


def test_difficult_objects_can_be_left_out():
    rows = run("evaluate_difficult_gt: false")
    assert rows[0] == [-1, 1, 1, -1, -1]
    assert rows[3][3:] == [0, 0]  # neither true nor false


def test_threshold_and_background():
    assert run("overlap_threshold: 0.7")[7][3:] == [0, 1]
    rows = run("background_label_id: 3", objects=[[0, 0, 0, 0, 0, 1, 1, 0]], found=[[-1] * 7])
    assert [row[:3] for row in rows[:3]] == [[-1, 0, 1], [-1, 1, 0], [-1, 2, 0]]
    with pytest.raises(DataError, match="label of the background"):
        run("background_label_id: 2", objects=OBJECTS[:2])
    with pytest.raises(DataError, match="object 2 of the label blob has the label 2"):
        run("background_label_id: 2")


def test_without_detections_or_objects():
    nothing = [[0, *[-1] * 6], [1, *[-1] * 6]]
    counts = [[-1, 1, 2, -1, -1], [-1, 2, 1, -1, -1]]
    assert run(found=nothing) == [*counts, [0, -1, -1, 0, 1], [1, -1, -1, 0, 1]]
    rows = run(objects=[[-1] * 8])
    assert [row[2] for row in rows[:2]] == [0, 0]
    assert all(row[3:] == [0, 1] for row in rows[2:]) and len(rows) == 2 + len(FOUND)


def test_boxes_in_pixels_of_images_of_their_sizes(tmp_path):
    """A box of 4 x 2 pixels and one of 4 x 1 share 5 x 2 of 5 x 3 with their borders."""
    objects = [[0, 1, 0, 0, 0, 0.4, 0.2, 0]]
    found = [[0, 1, 0.5, 0, 0, 0.4, 0.1]]
    assert run(found=found, objects=objects)[2][3:] == [1, 0]  # exactly one half
    path = tmp_path / "sizes.txt"
    path.write_text("a 10 10\nb c 1000 1000\n")
    words = f'name_size_file: "{path}" overlap_threshold: 0.6'
    assert run(words, found=found, objects=objects)[2][3:] == [1, 0]  # 10 of 15 pixels
    assert run(words, found=found, objects=objects, passes=2)[2][3:] == [0, 1]
    assert run(words, found=found, objects=objects, passes=3)[2][3:] == [1, 0]
    path.write_text("a 10\nb ten 1000\n")
    with pytest.raises(DataError, match="expected lines of name, height and width"):
        run(words)


def test_what_is_refused():
    for settings, match in (
        ("overlap_threshold: 0", "must be positive"),
        ("resize_param { resize_mode: FIT_SMALL_SIZE }", "resize_mode WARP alone"),
    ):
        with pytest.raises(LayerError, match=match):
            run(settings)
    with pytest.raises(LayerError, match="must provide num_classes"):
        Rig('type: "DetectionEvaluate"', (1, 1, 2, 7), (1, 1, 2, 8))
    with pytest.raises(ShapeError, match="objects must be 1 x 1 x n x 8"):
        run(objects=[[0] * 7])
