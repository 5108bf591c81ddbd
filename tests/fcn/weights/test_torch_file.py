"""State dicts that PyTorch wrote before version 1.6, read without it."""

import os
import pickle

import numpy as np
import pytest
from fcn_helpers import raised

from fcn.weights.torch_file import TorchFileError, read_state_dict

torch = pytest.importorskip("torch")


def saved(tmp_path, what, **more):
    path = os.path.join(str(tmp_path), "w.pth")
    torch.save(what, path, _use_new_zipfile_serialization=False, **more)
    return path


def state():
    torch.manual_seed(1)
    whole = torch.randn(40)
    return {
        "a.weight": torch.randn(4, 3, 3, 3),
        "a.last": torch.randn(2, 5, 4, 3).permute(0, 3, 1, 2),  # channels last
        "b.count": torch.tensor(7),
        "b.part": whole[10:22].view(3, 4),
        "b.same": whole[10:],
        "c.empty": torch.zeros(0, 2),
    }


def test_every_tensor_is_read(tmp_path):
    wanted = state()
    found = read_state_dict(saved(tmp_path, wanted))
    assert list(found) == list(wanted)
    for name, tensor in wanted.items():
        assert found[name].dtype == tensor.numpy().dtype
        np.testing.assert_array_equal(found[name], tensor.numpy())


def test_a_file_that_calls_a_function_is_refused(tmp_path):
    class Call:
        def __reduce__(self):
            return os.mkdir, (os.path.join(str(tmp_path), "made"),)

    text = raised(TorchFileError, read_state_dict, saved(tmp_path, {"a": Call()}))
    assert "asks for posix.mkdir" in text and not os.path.exists(str(tmp_path / "made"))


def test_files_that_are_cut_short_are_refused(tmp_path):
    path = saved(tmp_path, state())
    with open(path, "rb") as f:
        content = f.read()
    for length in range(0, len(content), 97):
        with open(path, "wb") as f:
            f.write(content[:length])
        assert "w.pth is no state dict" in raised(TorchFileError, read_state_dict, path)


def test_other_files_are_refused(tmp_path):
    path = os.path.join(str(tmp_path), "other")
    for content in (b"", b"<html>", pickle.dumps({"a": 1}), pickle.dumps(5) * 4):
        with open(path, "wb") as f:
            f.write(content)
        raised(TorchFileError, read_state_dict, path)
    torch.save(state(), path)  # a zip file, as today's
    raised(TorchFileError, read_state_dict, path)
