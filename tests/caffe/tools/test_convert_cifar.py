"""convert_cifar_data; data_tools.py compares it with BVLC's."""

import numpy as np
import pytest

from caffe.cli import main
from caffe.data import db
from caffe.proto import caffe_pb2


@pytest.fixture
def batches(tmp_path):
    """Six small batches: {name: records}."""
    draw = np.random.RandomState(2)
    made = {}
    for name in [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]:
        made[name] = draw.randint(0, 256, (3, 3073)).astype(np.uint8)
        made[name].tofile(tmp_path / name)
    return made


def test_batches_become_two_databases(tmp_path, batches):
    assert main(["convert_cifar_data", str(tmp_path), str(tmp_path), "lmdb"]) == 0
    for name, sources in (("train", list(batches)[:5]), ("test", ["test_batch.bin"])):
        cursor = db.open(str(tmp_path / f"cifar10_{name}_lmdb"), "lmdb").cursor()
        for number, source in enumerate(sources):
            for item, record in enumerate(batches[source]):
                key, value = cursor.item()
                datum = caffe_pb2.Datum.FromString(value)
                assert key == b"%05d" % (number * 10000 + item)
                assert (datum.channels, datum.height, datum.width) == (3, 32, 32)
                assert datum.label == record.view(np.int8)[0] and datum.data == record[1:].tobytes()
                more = cursor.next()
        assert not more


@pytest.mark.parametrize("content", [b"", b"x" * 3072, b"x" * 3074])
def test_a_damaged_batch_is_one_error_and_leaves_nothing(tmp_path, batches, capsys, content):
    (tmp_path / "data_batch_3.bin").write_bytes(content)
    assert main(["convert_cifar_data", str(tmp_path), str(tmp_path), "lmdb"]) == 1
    assert "data_batch_3.bin" in capsys.readouterr().err
    assert [path for path in tmp_path.iterdir() if "lmdb" in path.name] == []


def test_a_missing_batch_and_the_usage(tmp_path, batches, capsys):
    (tmp_path / "test_batch.bin").unlink()
    assert main(["convert_cifar_data", str(tmp_path), str(tmp_path), "lmdb"]) == 1
    assert "Unable to open train file" in capsys.readouterr().err
    assert main(["convert_cifar_data"]) == 0
    assert "input_folder" in capsys.readouterr().out
