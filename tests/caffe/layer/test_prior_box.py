"""PriorBox: against a loop as SSD writes it, in every form, and what it refuses."""

import itertools
import math

import numpy as np
import pytest
from harness import Rig, close, random

from caffe.errors import LayerError


def by_loop(size, image, low, high=(), ratios=(), flip=True, offset=0.5, step=None):
    """Boxes in pixels of the image, one after the other."""
    boxes = []
    step = step or (image[0] / size[0], image[1] / size[1])
    for row, column in itertools.product(*map(range, size)):
        x, y = (column + offset) * step[1], (row + offset) * step[0]
        for i, small in enumerate(low):
            sides = [(small, small)]
            if high:
                sides.append((math.sqrt(small * high[i]),) * 2)
            for ratio in ratios:
                for r in (ratio, 1 / ratio) if flip else (ratio,):
                    sides.append((small * math.sqrt(r), small / math.sqrt(r)))
            boxes += [(x - w / 2, y - h / 2, x + w / 2, y + h / 2) for w, h in sides]
    return np.array(boxes)


def run(settings, size=(3, 2), image=(40, 60)):
    rig = Rig(f'type: "PriorBox" prior_box_param {{ {settings} }}', (2, 5, *size), (2, 3, *image))
    return rig.forward(random(2, 5, *size))


@pytest.mark.parametrize(
    ("settings", "form"),
    [
        ("min_size: 10", dict(low=[10])),
        ("min_size: 10 max_size: 20", dict(low=[10], high=[20])),
        ("min_size: 10 aspect_ratio: 2", dict(low=[10], ratios=[2])),
        (
            "min_size: 10 min_size: 15 max_size: 20 max_size: 30 aspect_ratio: 2 aspect_ratio: 3",
            dict(low=[10, 15], high=[20, 30], ratios=[2, 3]),
        ),
        # 1 and 0.5 are there already
        ("min_size: 10 aspect_ratio: [1, 2, 0.5]", dict(low=[10], ratios=[2])),
        ("min_size: 9 aspect_ratio: 2 flip: false", dict(low=[9], ratios=[2], flip=False)),
        ("min_size: 9 step: 16 offset: 0.25", dict(low=[9], step=(16, 16), offset=0.25)),
        ("min_size: 9 step_h: 12.5 step_w: 8", dict(low=[9], step=(12.5, 8))),
        ("min_size: 9.7 max_size: 16.9", dict(low=[9], high=[16])),  # fractions are cut off
    ],
)
def test_boxes(device, settings, form):
    boxes, variances = run(settings)[0]
    expected = by_loop((3, 2), (40, 60), **form) / [60, 40, 60, 40]
    close(boxes.reshape(-1, 4), expected)
    assert np.all(variances == np.float32(0.1))


def test_several_centres_a_pixel():
    """As in the text detector of OpenCV's contributed modules."""
    words = "min_size: 10 aspect_ratio: 2 flip: false"
    both = run(f"{words} offset_h: 0.5 offset_h: 1 offset_w: 0.5 offset_w: 0.25")[0, 0]
    both = both.reshape(3, 2, 2, 2, 4)  # rows, columns, boxes, centres, corners
    middle = run(words)[0, 0].reshape(3, 2, 2, 4)
    close(both[:, :, :, 0], middle)
    close(both[:, :, :, 1], middle + np.float32([-0.125, 1 / 6, -0.125, 1 / 6]))


@pytest.mark.parametrize(
    ("settings", "image"), [("img_size: 80", (80, 80)), ("img_h: 90 img_w: 30", (90, 30))]
)
def test_the_size_of_the_image_can_be_given(settings, image):
    boxes = run(f"min_size: 10 {settings}")[0, 0].reshape(-1, 4)
    close(boxes, by_loop((3, 2), image, [10]) / np.tile([image[1], image[0]], 2))


def test_clip_and_four_variances():
    settings = "min_size: 50 variance: [0.1, 0.2, 0.3, 0.4]"
    boxes, variances = run(settings)[0]
    assert boxes.min() < 0 and boxes.max() > 1
    close(run(settings + " clip: true")[0, 0], boxes.clip(0, 1))
    close(variances.reshape(-1, 4), np.tile([0.1, 0.2, 0.3, 0.4], (6, 1)))


def test_other_sizes_one_after_the_other():
    rig = Rig('type: "PriorBox" prior_box_param { min_size: 4 }', (1, 1, 2, 2), (1, 3, 8, 8))
    for size in [(2, 2), *[(1, n) for n in range(1, 12)], (2, 2)]:
        assert rig.reshape((1, 1, *size), (1, 3, 8, 8)) == [(1, 2, size[0] * size[1] * 4)]
        close(rig.forward()[0, 0].reshape(-1, 4), by_loop(size, (8, 8), [4]) / 8)
    assert rig.backward(1.0, bottoms=[True, True]) is not None  # nothing to hand down


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ("", "must provide min_size"),
        ("min_size: 0", "min_size must be positive"),
        ("min_size: 2 min_size: 3 max_size: 4", "one max_size for each min_size"),
        ("min_size: 5 max_size: 5", "max_size must be greater than min_size, got 5 and 5"),
        ("min_size: 5 variance: [1, 2]", "1 or 4 variances, got 2"),
        ("min_size: 5 variance: -1", "variance must be positive"),
        ("min_size: 5 step: 3 step_h: 2", "give step, or step_h and step_w, not both"),
        ("min_size: 5 step_h: 2", "must be positive"),
        ("min_size: 5 img_size: 3 img_w: 2", "give img_size, or img_h and img_w"),
        ("min_size: 5 offset_h: 1", "as many offset_h as offset_w, got 1 and 0"),
        ("min_size: 5 offset: 1 offset_h: 1 offset_w: 1", "offset, or offset_h and offset_w"),
    ],
)
def test_what_is_refused(settings, match):
    with pytest.raises(LayerError, match=match):
        run(settings)
