"""compute_image_mean: the mean file, the channels' means, what is refused."""

import io as io_

import numpy as np
import pytest
from PIL import Image

from caffe import glog, io
from caffe.data import db, mean_file
from caffe.errors import DataError
from caffe.proto import caffe_pb2
from caffe.tools.compute_image_mean import main

PIXELS = np.random.RandomState(0).randint(0, 256, (5, 3, 4, 6)).astype(np.uint8)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(glog._state, "level", 0)


def make(datums, backend="lmdb"):
    with db.create("db", backend) as writer:
        for n, datum in enumerate(datums):
            writer.put(b"%03d" % n, datum.SerializeToString())


def encoded(pixels):
    """A PNG of (C, H, W) in B, G, R."""
    stream = io_.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)[:, :, ::-1])).save(stream, "PNG")
    return caffe_pb2.Datum(data=stream.getvalue(), encoded=True)


@pytest.mark.parametrize("backend", ["lmdb", "leveldb"])
@pytest.mark.parametrize("kind", ["bytes", "floats", "encoded"])
def test_mean(backend, kind, capsys):
    convert = {
        "bytes": io.array_to_datum,
        "floats": lambda p: io.array_to_datum(p.astype(np.float32)),
        "encoded": encoded,
    }[kind]
    make([convert(p) for p in PIXELS], backend)
    assert main([f"--backend={backend}", "db", "mean.binaryproto"]) == 0
    mean = PIXELS.sum(0, dtype=np.float32) / np.float32(5)
    np.testing.assert_array_equal(mean_file.read("mean.binaryproto"), mean)
    lines = [line.partition("] ")[2] for line in capsys.readouterr().err.splitlines()]
    assert lines[-5:-3] == ["Write to mean.binaryproto", "Number of channels: 3"]
    values = [line.rpartition(": ") for line in lines[-3:]]
    assert [v[0] for v in values] == [f"mean_value channel [{c}]" for c in range(3)]
    np.testing.assert_allclose([float(v[2]) for v in values], mean.mean((1, 2)), rtol=1e-5)
    start = [f"Opened {backend} db"] + ["Decoding Datum"] * (kind == "encoded")
    assert lines[:-5] == [*start, "Starting iteration", "Processed 5 files."]


def test_without_a_file(tmp_path):
    make([io.array_to_datum(p) for p in PIXELS])
    assert main(["db"]) == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["db"]


@pytest.mark.parametrize("datums, says", [
    ([io.array_to_datum(PIXELS[0]), io.array_to_datum(PIXELS[1, :, :3])],
     r"record '001' of db: Incorrect data field size 54: .*\(3, 3, 6\).*\(3, 4, 6\)"),
    ([caffe_pb2.Datum(data=b"xx", encoded=True)], "record '000' of db: Could not decode"),
    ([], "db has no records"),
])  # fmt: skip
def test_refused(datums, says):
    make(datums)
    with pytest.raises(DataError, match=says):
        main(["db", "mean"])


def test_wrong_calls(capsys):
    assert main([]) == 1
    assert main(["a", "b", "c"]) == 1
    assert "compute_image_mean [FLAGS] INPUT_DB [OUTPUT_FILE]" in capsys.readouterr().out
    with pytest.raises(DataError, match="cannot open the lmdb 'gone'"):
        main(["gone"])
