"""A few of the cases of opencv_layers.py for each type: OpenCV's importer agrees."""

import opencv_layers
import pytest

cv2 = pytest.importorskip(
    "cv2", reason="needs pip install 'opencv-python-headless<5' (OpenCV 5 reads no Caffe models)"
)
if int(cv2.__version__.split(".")[0]) > 4:
    pytest.skip("OpenCV 5 reads no Caffe models", allow_module_level=True)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("type_name", sorted(opencv_layers.CASES))
def test_opencv_agrees(type_name, seed):
    found = opencv_layers.difference(*opencv_layers.compare(type_name, 100 + seed))
    assert found <= opencv_layers.TOLERANCE


def test_a_wrong_top_is_seen():
    case, ours, theirs = opencv_layers.compare("PriorBox", 0)
    assert opencv_layers.difference(case, ours + 1e-3, theirs) > opencv_layers.TOLERANCE
    case, ours, theirs = opencv_layers.compare("DetectionOutput", 0)
    assert opencv_layers.difference(case, ours[:, :, 1:], theirs) > opencv_layers.TOLERANCE
