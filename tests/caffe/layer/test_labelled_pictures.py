"""Lists of labelled pictures: their order, what is skipped, what is refused."""

import pytest
from labelled import batches, dense, make, seg

import caffe
from caffe.errors import DataError


def test_shuffling_visits_every_picture_in_each_pass(tmp_path):
    caffe.set_random_seed(1)
    rig = seg(make(tmp_path), "label_type: PIXEL shuffle: true")
    seen = [int(labels[0, 0, 0, 0]) for _, labels in batches(rig, 15)]
    passes = [seen[:5], seen[5:10], seen[10:]]
    assert [sorted(p) for p in passes] == [[0, 10, 20, 30, 40]] * 3
    assert passes[0] != passes[1]


def test_rand_skip(tmp_path):
    caffe.set_random_seed(2)
    firsts = set()
    for _ in range(10):
        rig = dense(make(tmp_path), "rand_skip: 4")
        firsts.add(int(next(iter(batches(rig, 1)))[1][0, 0, 0, 0]))
    assert len(firsts) > 1 and firsts <= {0, 10, 20, 30}


@pytest.mark.parametrize(
    ("lines", "match"),
    [
        ("", "File is empty: .*list.txt; expected lines 'image label_image'"),
        ("/0.png\n", r"list.txt:1: got 1 word\(s\), '/0.png'"),
        ("/0.png /0_label.png\n/a b.png /c.png\n", r"list.txt:2: got 3 word\(s\)"),
        ("/0.png /9_label.png\n", r"list.txt:1 \(/0.png\): Could not open or find file"),
        ("/0.png /1_label.png\n", "its label image 3 x 3: expected equal sizes"),
    ],
)
def test_lists_that_are_wrong(tmp_path, lines, match):
    make(tmp_path, 2, [(4, 5), (3, 3)])
    (tmp_path / "list.txt").write_text(lines)
    for kind in (dense, seg):
        with pytest.raises(DataError, match=match):
            kind(tmp_path)
