"""Silence."""

from harness import Rig, random


def test_it_zeroes_the_diffs_asked_for(device):
    rig = Rig('type: "Silence"', (2, 3), (4,), tops=0)
    rig.forward(random(2, 3), random(4))
    for blob in rig.bottom:
        blob.diff[...] = 5
    rig.backward(bottoms=[True, False])
    assert not rig.bottom[0].diff.any() and (rig.bottom[1].diff == 5).all()
