"""The files of a case are what their descriptions say, and stay in the case's folder."""

import arrays
import case_files
import pytest

from caffe.proto import caffe_pb2

NUMBERS = {"kind": "normal", "seed": 3, "shape": [1, 1, 2, 3]}


def test_text_in_a_folder_of_its_own(tmp_path):
    case_files.write([{"name": "lists/a.txt", "kind": "text", "text": "x 1\n"}], str(tmp_path))
    assert (tmp_path / "lists" / "a.txt").read_text() == "x 1\n"


@pytest.mark.parametrize("legacy", [False, True])
def test_blobproto(tmp_path, legacy):
    described = {"name": "h.binaryproto", "kind": "blobproto", "array": NUMBERS, "legacy": legacy}
    case_files.write([described], str(tmp_path))
    blob = caffe_pb2.BlobProto.FromString((tmp_path / "h.binaryproto").read_bytes())
    assert list(blob.data) == arrays.make(NUMBERS).ravel().tolist()
    assert list(blob.shape.dim) == ([] if legacy else [1, 1, 2, 3])
    assert (blob.width, blob.height) == ((3, 2) if legacy else (0, 0))


@pytest.mark.parametrize(
    "name, kind, says", [("../a", "text", "inside"), ("a", "nope", "blobproto")]
)
def test_what_cannot_be_written_is_refused(tmp_path, name, kind, says):
    with pytest.raises(ValueError, match=says):
        case_files.write([{"name": name, "kind": kind, "text": ""}], str(tmp_path))
