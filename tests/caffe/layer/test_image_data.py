"""ImageData: lists, sizes, errors; BVLC's values, orders and draws are compared elsewhere."""

import os
import warnings

import numpy as np
import pytest
from listed import labels, make, rig

import caffe
from caffe.data import image_files
from caffe.data.image_list import ImageListWarning, read_list
from caffe.errors import DataError, LayerError
from caffe.rng import Generator, shuffled


def test_shapes_order_and_wrapping(tmp_path):
    layer = rig(make(tmp_path), "batch_size: 3")
    assert [b.dims for b in layer.top] == [(3, 3, 4, 6), (3,)]
    assert labels(layer, 3) == [10, 11, 12, 13, 14, 10, 11, 12, 13]
    assert layer.top[0].data[:, 0, 0, 0].tolist() == [1, 2, 3]


def test_grey_and_resized(tmp_path):
    layer = rig(make(tmp_path), "is_color: false new_height: 7 new_width: 3")
    assert layer.forward().shape == (1, 1, 7, 3)


def test_shuffling_visits_every_image_in_each_pass(tmp_path):
    caffe.set_random_seed(1)
    seen = labels(rig(make(tmp_path), "shuffle: true"), 15)
    passes = [seen[:5], seen[5:10], seen[10:]]
    assert [sorted(p) for p in passes] == [[10, 11, 12, 13, 14]] * 3
    assert passes[0] != passes[1] != passes[2]
    caffe.set_random_seed(1)
    assert labels(rig(tmp_path, "shuffle: true"), 15) == seen


def test_shuffled_draws_again_for_words_beyond_the_buckets():
    class Words:
        def __init__(self, words):
            self.words = words

        def u32(self, n):
            taken, self.words = self.words[:n], self.words[n:]
            return np.array(taken, np.uint32)

    # Four elements: the last of four buckets of 2^30 holds 2^32 - 1, so element 3 stays.
    assert shuffled(np.arange(4), Words([2**32 - 1, 0, 0])).tolist() == [1, 2, 0, 3]
    # Five: five buckets of 858993459 end before 2^32 - 1: it is refused.
    few = shuffled(np.arange(5), Words([2**32 - 1, 0, 0, 0, 0])).tolist()
    assert few == shuffled(np.arange(5), Words([0, 0, 0, 0])).tolist()
    assert shuffled(np.arange(0), Generator(1)).tolist() == []


def test_lists(tmp_path):
    (tmp_path / "l").write_bytes(b"a b.png 3\r\nc.png -4x\nnolabel\n\nd.png 5 ")
    expected = [("a b.png", 3), ("c.png", -4), ("nolabel", 0), ("", 0), ("d.png 5", 0)]
    with pytest.warns(ImageListWarning):
        assert read_list(str(tmp_path / "l")) == expected


@pytest.mark.parametrize(
    ("line", "label"), [("a.png 2.9", 2), ("a.png", 0), ("a.png seven", 0), ("a.png ", 0)]
)
def test_a_label_that_is_no_whole_number_is_read_as_bvlc_reads_it_with_a_warning(
    tmp_path, line, label
):
    path = tmp_path / "l"
    path.write_text(f"b.png 1\n{line}\n{line}\n")
    with pytest.warns(
        ImageListWarning, match=rf"l:2 \(and 1 more\): .*its label is {label}"
    ) as told:
        assert [found for _, found in read_list(str(path))] == [1, label, label]
    assert len(told) == 1


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2147483648", -(2**31)),
        ("9223372036854775808", -1),
        ("-9223372036854775809", 0),
        ("9" * 5000, -1),
        ("00000000000000000000000000007", 7),
    ],
)
def test_labels_beyond_32_bits_are_cs(tmp_path, text, value):
    (tmp_path / "l").write_text(f"a.png {text}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImageListWarning)
        assert read_list(str(tmp_path / "l")) == [("a.png", value)]


def test_a_pipe_in_a_list_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="pipe: it is a pipe, not a file"):
        image_files.read(tmp_path / "pipe")


def test_rand_skip(tmp_path):
    caffe.set_random_seed(2)
    skip = int(Generator(2).u32(1)[0]) % 5
    assert labels(rig(make(tmp_path), "rand_skip: 5"), 1) == [10 + skip]
    caffe.set_random_seed(2)
    with pytest.raises(DataError, match="Not enough points to skip: .* of 5 lines"):
        rig(tmp_path, "rand_skip: 4000000")


@pytest.mark.parametrize("fields, error, says", [
    ("new_height: 3", LayerError, "must be set at the same time: got new_height 3, new_width 0"),
    ("batch_size: 0", LayerError, "batch_size must be positive"),
    ('source: "gone"', DataError, "cannot read the list gone: No such file"),
    ('root_folder: "x"', DataError, r"list.txt:1 \(0.png\): Could not open or find file x0.png"),
])  # fmt: skip
def test_settings(tmp_path, fields, error, says):
    with pytest.raises(error, match=rf"layer 'layer' \(type ImageData\): .*{says}"):
        rig(make(tmp_path), fields)


def test_an_empty_list(tmp_path):
    (tmp_path / "list.txt").write_text("")
    with pytest.raises(DataError, match="File is empty: .*list.txt"):
        rig(tmp_path)
