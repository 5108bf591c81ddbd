"""What a file is that is no weights file."""

import pytest
from weight_files import GOLDEN, write

from caffe import weights
from caffe.errors import WeightsError
from caffe.weights import solver_state


@pytest.mark.parametrize("read", [weights.read_layers, solver_state.read_solver_state])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n", "pointer of Git LFS"),
        (b"\n <!DOCTYPE html>", "is a web page"),
        (b"<html><head>", "is a web page"),
        (b"\x1f\x8b\x08\0", "is compressed"),
        (b"PK\x03\x04\x14\0", "is a zip archive"),
        (b'name: "VGG"\nlayer {}', "is text: a prototxt"),
    ],
)
def test_what_the_file_is_instead(tmp_path, read, content, message):
    with pytest.raises(WeightsError, match=f"w.caffemodel.* {message}"):
        read(write(tmp_path, content))


def test_a_solverstate_in_the_place_of_weights():
    with pytest.raises(WeightsError, match="is a solverstate.*same name with .caffemodel"):
        weights.read_layers(GOLDEN / "snap_iter_3.solverstate")
