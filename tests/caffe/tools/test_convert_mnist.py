"""convert_mnist_data and convert_mnist_siamese_data; data_tools.py compares them with BVLC's."""

import re
import struct

import numpy as np
import pytest

import caffe
from caffe.cli import main
from caffe.data import db
from caffe.proto import caffe_pb2


def files(folder, pictures, labels):
    images, digits = folder / "images", folder / "labels"
    images.write_bytes(struct.pack(">4I", 2051, *pictures.shape) + pictures.tobytes())
    digits.write_bytes(struct.pack(">2I", 2049, len(labels)) + bytes(labels))
    return str(images), str(digits)


def records(path, backend="lmdb"):
    cursor, found = db.open(str(path), backend).cursor(), []
    while True:
        key, value = cursor.item()
        found.append((key, caffe_pb2.Datum.FromString(value)))
        if not cursor.next():
            return found


@pytest.fixture
def mnist(tmp_path):
    pictures = np.random.RandomState(1).randint(0, 256, (1005, 3, 2)).astype(np.uint8)
    labels = np.arange(1005) % 10
    return pictures, labels, files(tmp_path, pictures, labels.tolist())


def test_pictures_become_records_in_order(tmp_path, mnist):
    pictures, labels, paths = mnist
    assert main(["convert_mnist_data", *paths, str(tmp_path / "out")]) == 0
    found = records(tmp_path / "out")
    assert [key for key, _ in found] == [b"%08d" % i for i in range(1005)]
    for i, (_, datum) in enumerate(found):
        assert (datum.channels, datum.height, datum.width) == (1, 3, 2)
        assert datum.label == labels[i] and datum.data == pictures[i].tobytes()


def test_pairs_are_labelled_by_whether_the_digits_are_equal(tmp_path, mnist):
    pictures, labels, paths = mnist
    caffe.set_random_seed(1)
    out = tmp_path / "out"
    assert main(["convert_mnist_siamese_data", "-backend=lmdb", *paths, str(out)]) == 0
    by_bytes = {picture.tobytes(): label for picture, label in zip(pictures, labels)}
    found = records(out)
    assert len(found) == 1005
    for _, datum in found:
        assert datum.channels == 2
        digits = [by_bytes[datum.data[:6]], by_bytes[datum.data[6:]]]
        assert datum.label == (digits[0] == digits[1])
    assert 40 < sum(datum.label for _, datum in found) < 180


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda i, d: i.write_bytes(i.read_bytes()[:-1]), "images has .* bytes.*damaged"),
        (lambda i, d: d.write_bytes(d.read_bytes()[:6]), "labels has 6 bytes.*damaged"),
        (lambda i, d: i.write_bytes(b""), "Incorrect image file magic.*found none"),
        (lambda i, d: d.write_bytes(i.read_bytes()), "Incorrect label file magic.*2049.*2051"),
        (lambda i, d: i.write_bytes(b"\x1f\x8b\x08"), "images is compressed: gunzip"),
        (lambda i, d: i.unlink(), "Unable to open file .*images"),
        (lambda i, d: d.write_bytes(struct.pack(">2I", 2049, 1) + b"1"), "1005 pictures.*1 labels"),
        (lambda i, d: i.write_bytes(struct.pack(">4I", 2051, *[2**32 - 1] * 3)), "damaged"),
    ],
)
def test_files_that_cannot_be_read_are_one_error(tmp_path, mnist, capsys, damage, message):
    damage(tmp_path / "images", tmp_path / "labels")
    assert main(["convert_mnist_data", *mnist[2], str(tmp_path / "out")]) == 1
    assert re.search(message, capsys.readouterr().err)
    assert not (tmp_path / "out").exists()


def test_the_usage_is_no_failure(capsys):
    for name in ("convert_mnist_data", "convert_mnist_siamese_data"):
        assert main([name]) == 0
        assert name in capsys.readouterr().out
