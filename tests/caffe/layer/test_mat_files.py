"""MatWrite and MatRead: names, axes, periods, errors."""

import numpy as np
import pytest
from harness import Rig, random
from scipy import io

from caffe.errors import DataError, LayerError, ShapeError


def written(folder, *blobs, text="", passes=1):
    rig = Rig(f'type: "MatWrite" mat_write_param {{ prefix: "{folder}/" {text} }}',
              *(b.shape for b in blobs), tops=0)  # fmt: skip
    for n in range(passes):
        rig.forward(*(b + n for b in blobs))
    return sorted(path.name for path in folder.iterdir())


def test_the_axes_are_in_matlabs_order(tmp_path, device):
    x, y = random(2, 3, 4, 5), random(2, 3, seed=1)
    assert written(tmp_path, x, y) == ["iter_0_blob_0.mat", "iter_0_blob_1.mat"]
    data = io.loadmat(tmp_path / "iter_0_blob_0.mat")["data"]
    assert data.shape == (5, 4, 3, 2) and data.dtype == np.float32
    assert np.array_equal(data.T, x)
    data = io.loadmat(tmp_path / "iter_0_blob_1.mat")["data"]
    assert data.shape == (1, 1, 3, 2) and np.array_equal(data.T[..., 0, 0], y)


def test_names_from_a_list_and_every_second_pass(tmp_path):
    (tmp_path / "list").write_text("/a.jpg 1\n/b.jpg 2\n\n/c.jpg\n")
    out = tmp_path / "out"
    out.mkdir()
    text = f'source: "{tmp_path}/list" strip: 4 period: 2'
    assert written(out, random(1, 2), text=text, passes=3) == ["a_blob_0.mat", "c_blob_0.mat"]


def test_more_passes_than_names(tmp_path):
    (tmp_path / "list").write_text("a\n")
    rig = Rig(f'type: "MatWrite" mat_write_param {{ prefix: "{tmp_path}/" source: "{tmp_path}/list"'
              " }", (1, 2), tops=0)  # fmt: skip
    rig.forward(random(1, 2))
    with pytest.raises(DataError, match="pass 2 has no name: .*list has 1"):
        rig.forward(random(1, 2))


def test_read_what_was_written(tmp_path, device):
    x = random(1, 3, 4, 5)
    written(tmp_path, x, x[:, :1], passes=3)
    (tmp_path / "list").write_text("".join(f"iter_{n}xx\n" for n in range(3)))
    text = f'prefix: "{tmp_path}/" source: "{tmp_path}/list" strip: 2 batch_size: 2'
    rig = Rig(f'type: "MatRead" mat_read_param {{ {text} }}', tops=2)
    assert [b.dims for b in rig.top] == [(2, 3, 4, 5), (2, 1, 4, 5)]
    for first in (0, 2, 1):
        expected = np.concatenate([x + (first + n) % 3 for n in range(2)])
        assert np.array_equal(rig.forward(), expected)
        assert np.array_equal(rig.top[1].data, expected[:, :1])


def test_files_that_are_wrong(tmp_path):
    (tmp_path / "list").write_text("a\nb\n")
    text = f'type: "MatRead" mat_read_param {{ prefix: "{tmp_path}/" source: "{tmp_path}/list" }}'
    with pytest.raises(DataError, match="cannot read .*a_blob_0.mat"):
        Rig(text)
    io.savemat(tmp_path / "a_blob_0.mat", {"data": np.zeros((2, 3), np.float32)})
    rig = Rig(text)
    assert rig.top[0].dims == (1, 1, 3, 2) and rig.forward().shape == (1, 1, 3, 2)
    for content, match in [
        ({"data": np.zeros((2, 2))}, r"holds \(1, 2, 2\), the first file held \(1, 3, 2\)"),
        ({"data": np.zeros((3, 2, 1, 2))}, "holds 2 items: expected one"),
        ({"other": np.zeros((3, 2))}, "expected an array `data` of numbers .*no such array"),
        ({"data": "text"}, "expected an array `data` of numbers"),
    ]:
        io.savemat(tmp_path / "b_blob_0.mat", content)
        with pytest.raises(DataError, match=match):
            rig.forward()
    (tmp_path / "b_blob_0.mat").write_bytes(b"no such format" * 20)
    with pytest.raises(DataError, match="cannot read .*b_blob_0.mat"):
        rig.forward()


def test_settings_that_make_no_sense(tmp_path):
    with pytest.raises(LayerError, match="period must be positive"):
        written(tmp_path, random(1, 2), text="period: 0")
    with pytest.raises(ShapeError, match="up to 4 axes"):
        written(tmp_path, random(1, 1, 1, 1, 2))
    (tmp_path / "list").write_text("abc\n")
    with pytest.raises(DataError, match="'abc' is not longer than strip 3"):
        written(tmp_path, random(1, 2), text=f'source: "{tmp_path}/list" strip: 3')
    with pytest.raises(DataError, match="cannot read the list"):
        written(tmp_path, random(1, 2), text='source: "missing"')
    with pytest.raises(DataError, match="cannot write .*missing/iter_0_blob_0.mat"):
        written(tmp_path / "missing", random(1, 2))
    with pytest.raises(LayerError, match="needs a source"):
        Rig('type: "MatRead"')
