"""Narrow SSD nets, and a published one where a checkout has it, agree with OpenCV's importer."""

import os

import numpy as np
import opencv_ssd
import pytest

import bootstrap

cv2 = pytest.importorskip(
    "cv2", reason="needs pip install 'opencv-python-headless<5' (OpenCV 5 reads no Caffe models)"
)
if int(cv2.__version__.split(".")[0]) > 4:
    pytest.skip("OpenCV 5 reads no Caffe models", allow_module_level=True)

FCN_DATA = os.environ.get("FCN_DATA", os.path.join(bootstrap.ROOT, os.pardir, "shared", "data"))
WECHAT = os.path.join(FCN_DATA, "caffemodels", "wechat_qrcode", "detect")


@pytest.mark.parametrize("name", opencv_ssd.NETS)
def test_a_narrow_net_agrees(name, tmp_path):
    paths, image = opencv_ssd.random_files(name, 16, str(tmp_path))
    ours, theirs = opencv_ssd.both(paths, image)
    assert len(ours) > 50
    assert opencv_ssd.difference(ours, theirs) <= opencv_ssd.TOLERANCE


def pictures():
    """Noise, and codes drawn at different places and sizes."""
    rng = np.random.default_rng(0)
    yield rng.integers(0, 256, (384, 384))
    for i, scale in enumerate((4, 6, 8)):
        code = cv2.QRCodeEncoder.create().encode(f"number {i}")
        code = np.kron(code, np.ones((scale, scale)))
        picture = np.full((384, 320), 200.0)
        y, x = (rng.integers(5, n - len(code) - 5) for n in picture.shape)
        picture[y : y + len(code), x : x + len(code)] = code
        yield picture + rng.normal(0, 5, picture.shape)


@pytest.mark.skipif(not os.path.isfile(WECHAT + ".caffemodel"), reason="WeChat's net is not there")
def test_wechats_detector_agrees_and_finds_the_codes():
    paths = [WECHAT + ".prototxt", WECHAT + ".caffemodel"]
    sure = []
    for picture in pictures():
        image = (picture / 255).astype(np.float32)[None, None]
        ours, theirs = opencv_ssd.both(paths, image)
        assert opencv_ssd.difference(ours, theirs) <= opencv_ssd.TOLERANCE
        sure.append(ours[:, 2].max(initial=0))
    assert min(sure[1:]) > 0.99 > sure[0]
