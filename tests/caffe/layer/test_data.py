"""Data: what comparing values with BVLC does not show: sharding, errors, threads, the end."""

import gc
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from harness import TEST, TRAIN, Rig

import caffe
from caffe import io
from caffe.data import db
from caffe.errors import DataError, LayerError


def make(path, count=7, size=(3, 4, 5), backend="lmdb"):
    """Records 0, 1, ... of one colour and label each."""
    with db.create(path, backend) as writer:
        for n in range(count):
            datum = io.array_to_datum(np.full(size, n, np.uint8), n)
            writer.put(b"%03d" % n, datum.SerializeToString())
    return path


def rig(path, phase=TRAIN, tops=2, batch=3, more="", backend="LMDB", prefetch=4):
    fields = f'source: "{path}" backend: {backend} batch_size: {batch} prefetch: {prefetch}'
    return Rig(f'type: "Data" data_param {{ {fields} }} {more}', tops=tops, phase=phase)


def batches(layer, count):
    found = []
    for _ in range(count):
        layer.forward()
        found.append(layer.top[1].data.astype(int).tolist())
    return found


@pytest.mark.parametrize("backend", ["lmdb", "leveldb"])
def test_shapes_and_wrapping_inside_a_batch(tmp_path, backend):
    layer = rig(make(tmp_path / "d", backend=backend), backend=backend.upper())
    assert [b.dims for b in layer.top] == [(3, 3, 4, 5), (3,)]
    assert batches(layer, 4) == [[0, 1, 2], [3, 4, 5], [6, 0, 1], [2, 3, 4]]
    assert layer.top[0].data[:, 0, 0, 0].tolist() == [2, 3, 4]


def test_without_labels(tmp_path):
    layer = rig(make(tmp_path / "d"), tops=1)
    assert layer.forward()[:, 0, 0, 0].tolist() == [0, 1, 2]


def test_each_batch_takes_the_shape_of_its_first_record(tmp_path):
    with db.create(tmp_path / "d", "lmdb") as writer:
        for n in range(3):
            datum = io.array_to_datum(np.full((1, n + 1, 2), n, np.uint8))
            writer.put(b"%d" % n, datum.SerializeToString())
    layer = rig(tmp_path / "d", batch=1)
    assert [layer.forward().shape for _ in range(4)] == [
        (1, 1, 1, 2), (1, 1, 2, 2), (1, 1, 3, 2), (1, 1, 1, 2)]  # fmt: skip


@pytest.fixture
def second_of_three():
    caffe.set_solver_count(3)
    caffe.set_solver_rank(1)
    yield
    caffe.set_solver_rank(0)
    caffe.set_solver_count(1)


def test_training_solvers_share_the_records_out(tmp_path, second_of_three):
    path = make(tmp_path / "d")
    assert batches(rig(path, batch=2), 4) == [[1, 4], [0, 3], [6, 2], [5, 1]]  # as BVLC
    assert batches(rig(path, TEST, batch=2), 2) == [[0, 1], [2, 3]]


def test_a_rank_beyond_the_count(tmp_path, second_of_three):
    caffe.set_solver_rank(3)
    with pytest.raises(LayerError, match="rank is 3, the solver count 3"):
        rig(make(tmp_path / "d"))


def test_what_comes_out_does_not_depend_on_timing(tmp_path):
    path = make(tmp_path / "d", size=(3, 9, 9))
    more = "transform_param { crop_size: 4 mirror: true }"
    found = []
    for prefetch in (1, 7):
        caffe.set_random_seed(3)
        layer = rig(path, more=more, prefetch=prefetch)
        found.append(np.stack([layer.forward() for _ in range(9)]))
    np.testing.assert_array_equal(*found)


def prefetching():
    return [t for t in threading.enumerate() if t.name.startswith("prefetch")]


@pytest.mark.slow
def test_the_thread_starts_with_the_first_pass_and_ends_with_the_layer(tmp_path):
    before = len(prefetching())
    layer = rig(make(tmp_path / "d"))
    assert len(prefetching()) == before
    layer.forward()
    assert len(prefetching()) == before + 1
    del layer
    gc.collect()
    assert len(prefetching()) == before


def test_a_bad_record_is_named_where_it_is_reached_and_again(tmp_path):
    with db.create(tmp_path / "d", "lmdb") as writer:
        for n in range(6):
            datum = io.array_to_datum(np.full((1, 2, 2), n, np.uint8), n)
            if n == 4:
                datum.data = b"xyz"
            writer.put(b"%03d" % n, datum.SerializeToString())
    layer = rig(tmp_path / "d", batch=2)
    assert batches(layer, 2) == [[0, 1], [2, 3]]
    for _ in range(2):
        with pytest.raises(DataError, match=r"layer 'layer' \(type Data\): record '004' of .*/d"):
            layer.forward()
    assert layer.top[1].data.tolist() == [2, 3]


def test_records_that_are_no_datum(tmp_path):
    with db.create(tmp_path / "d", "lmdb") as writer:
        writer.put(b"k", b"\xff\xff\xff")
    with pytest.raises(DataError, match="record 'k' of .*: no Datum"):
        rig(tmp_path / "d")


@pytest.mark.parametrize("text, says", [
    ("batch_size: 0", "batch_size must be positive, got 0"),
    ("batch_size: 2 prefetch: 0", "prefetch must be positive"),
    ("batch_size: 2", "source } is missing"),
])  # fmt: skip
def test_settings(text, says):
    with pytest.raises(LayerError, match=says):
        Rig(f'type: "Data" data_param {{ {text} backend: LMDB }}', tops=1)


def test_a_missing_database_names_layer_and_folder(tmp_path):
    with pytest.raises(
        DataError, match=r"layer 'layer' \(type Data\): cannot open the lmdb .*gone"
    ):
        rig(tmp_path / "gone")


END = """
import caffe
open({net!r}, "w").write('layer {{ name: "d" type: "Data" top: "data" '
    'data_param {{ source: "{path}" backend: LMDB batch_size: 1 }} }}')
net = caffe.Net({net!r}, caffe.TEST)
net.forward()
print("done")
"""


@pytest.mark.slow
def test_the_process_ends_while_the_thread_works(tmp_path):
    path = make(tmp_path / "d", size=(3, 200, 200))
    code = END.format(net=str(tmp_path / "n.prototxt"), path=path)
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=dict(os.environ, GLOG_minloglevel="2"), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
