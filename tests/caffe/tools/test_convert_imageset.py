"""convert_imageset: keys, records, flags, log lines, what is refused and leaves nothing behind."""

import os
import pathlib

import numpy as np
import pytest
from PIL import Image

from caffe import glog, rng
from caffe.data import db, image_files
from caffe.errors import DataError
from caffe.proto import caffe_pb2
from caffe.rng import Generator, shuffled
from caffe.tools.convert_imageset import main
from caffe.tools.flags import UsageError


@pytest.fixture(autouse=True)
def images(tmp_path, monkeypatch):
    """a.png (4x6), b.jpeg (8x6) and a list of both with a missing one between them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(glog._state, "level", 0)
    noise = np.random.RandomState(0).randint(0, 256, (8, 6, 3)).astype(np.uint8)
    Image.fromarray(noise[:4]).save("a.png")
    Image.fromarray(noise).save("b.jpeg")
    pathlib.Path("list.txt").write_text("a.png 3\ngone.png 4\nb.jpeg -5\n")


def records(name="out", backend="lmdb"):
    cursor = db.open(name, backend).cursor()
    found = [cursor.item()]
    while cursor.next():
        found.append(cursor.item())
    return [(key.decode(), caffe_pb2.Datum.FromString(value)) for key, value in found]


def logged(capsys):
    return [line.partition("] ")[2] for line in capsys.readouterr().err.splitlines()]


@pytest.mark.parametrize("backend", ["lmdb", "leveldb"])
def test_raw_records(capsys, backend):
    assert main([f"-backend={backend}", "./", "list.txt", "out"]) == 0
    (key_a, a), (key_b, b) = records(backend=backend)
    assert (key_a, key_b) == ("00000000_a.png", "00000002_b.jpeg")
    assert (a.label, b.label) == (3, -5)
    assert (a.channels, a.height, a.width) == (3, 4, 6)
    assert a.data == image_files.read("a.png").transpose(2, 0, 1).tobytes()
    assert not a.encoded
    assert logged(capsys) == [
        "A total of 3 images.", f"Opened {backend} out",
        "Could not open or find file ./gone.png: No such file or directory",
        "Processed 2 files."]  # fmt: skip


def test_gray_and_resized():
    assert main(["--gray", "-resize_height", "5", "--resize_width=7", "./", "list.txt", "o"]) == 0
    (_, a), (_, b) = records("o")
    expected = image_files.resize(image_files.read("a.png", False), 5, 7)
    assert a.data == expected.tobytes()
    assert (b.channels, b.height, b.width) == (1, 5, 7)


def test_encoded_files_go_in_as_they_are():
    assert main(["-encoded", "./", "list.txt", "out"]) == 0
    for (_, datum), name in zip(records(), ("a.png", "b.jpeg")):
        assert (datum.encoded, datum.data) == (True, pathlib.Path(name).read_bytes())
        assert not datum.HasField("channels")


def test_another_encoding_or_size_encodes_anew():
    assert main(["-encode_type", "png", "./", "list.txt", "out"]) == 0
    (_, a), (_, b) = records()
    assert a.data == pathlib.Path("a.png").read_bytes()
    assert b.data.startswith(b"\x89PNG")
    np.testing.assert_array_equal(image_files.decode(b.data), image_files.read("b.jpeg"))
    assert main(["-encoded", "-resize_height=3", "-resize_width=3", "./", "list.txt", "o"]) == 0
    small = [image_files.decode(datum.data).shape for _, datum in records("o")]
    assert small == [(3, 3, 3)] * 2


def test_shuffled_lines_keep_their_labels(capsys):
    lines = (f"{'ab'[n % 2]}.{['png', 'jpeg'][n % 2]} {n}\n" for n in range(9))
    pathlib.Path("list.txt").write_text("".join(lines))
    rng.set_random_seed(3)
    assert main(["-shuffle", "./", "list.txt", "out"]) == 0
    assert [d.label for _, d in records()] == shuffled(np.arange(9), Generator(3)).tolist()
    assert logged(capsys)[0] == "Shuffling data"


def test_one_resize_flag_alone_is_told(capsys):
    assert main(["-resize_width", "3", "./", "list.txt", "out"]) == 0
    assert records()[0][1].width == 6
    assert "take effect only together" in " ".join(logged(capsys))


@pytest.mark.parametrize("arguments, says", [
    (["-check_size", "./", "list.txt", "out"], "b.jpeg is 3 x 8 x 6, the first image is 3 x 4 x 6"),
    (["./", "list.txt", "list.txt"], "exists already"),
    (["-backend", "foo", "./", "list.txt", "out"], "Unknown database backend"),
    (["-encode_type", "foo", "./", "list.txt", "out"], "cannot encode ./a.png as 'foo'"),
    (["./", "gone.txt", "out"], "cannot read the list gone.txt"),
    (["./", "empty.txt", "out"], "the list empty.txt is empty"),
    (["no/", "list.txt", "out"], "none of the 3 images .* first one is 'no/a.png'"),
])  # fmt: skip
def test_refused_and_nothing_left_behind(arguments, says):
    pathlib.Path("empty.txt").touch()
    before = sorted(os.listdir("."))
    with pytest.raises(DataError, match=says):
        main(arguments)
    assert sorted(os.listdir(".")) == before


def test_wrong_calls(capsys):
    assert main([]) == 1
    assert main(["./", "list.txt"]) == 1
    assert "convert_imageset [FLAGS] ROOTFOLDER/ LISTFILE DB_NAME" in capsys.readouterr().out
    with pytest.raises(UsageError, match="shufle"):
        main(["-shufle", "./", "list.txt", "out"])
