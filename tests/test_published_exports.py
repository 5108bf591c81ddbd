"""caffe export on published files, where a checkout has them: MTCNN, WeChat's QR code nets."""

import os

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the extra: pip install 'pycaffe-torch[onnx]'")
onnxruntime = pytest.importorskip(
    "onnxruntime", reason="needs the extra: pip install 'pycaffe-torch[onnx]'"
)

import bootstrap  # noqa: E402
from caffe.export import to_onnx  # noqa: E402

FCN_DATA = os.environ.get("FCN_DATA", os.path.join(bootstrap.ROOT, os.pardir, "shared", "data"))
MODELS = os.path.join(FCN_DATA, "caffemodels")

pytestmark = [
    pytest.mark.skipif(not os.path.isdir(MODELS), reason="the published caffemodels are not there"),
    pytest.mark.filterwarnings("ignore"),
]


def export(tmp_path, folder, name, **options):
    files = [os.path.join(MODELS, folder, f"{name}.{kind}") for kind in ("prototxt", "caffemodel")]
    made = to_onnx(*files, tmp_path / "net.onnx", **options)
    assert max(max(proof.differences.values()) for proof in made.proofs) < 1e-5
    return made


def run(tmp_path, **inputs):
    session = onnxruntime.InferenceSession(
        str(tmp_path / "net.onnx"), providers=["CPUExecutionProvider"]
    )
    return session.run(None, inputs)


@pytest.mark.parametrize("name", ["det1", "det2", "det3", "det4"])
def test_mtcnn(tmp_path, name):
    made = export(tmp_path, "mtcnn", name, dynamic=True)
    assert ("height" in made.inputs["data"]) == (name == "det1")  # the others have InnerProducts


def qr_code():
    """A code on grey, 384 x 384, as WeChat's detector reads it: 0 to 1."""
    cv2 = pytest.importorskip("cv2")
    code = cv2.QRCodeEncoder.create().encode("https://example.org/")
    image = np.full((384, 384), 160, np.uint8)
    code = cv2.resize(code, (200, 200), interpolation=cv2.INTER_NEAREST)
    image[90:290, 60:260] = 255
    image[100:280, 70:250] = cv2.resize(code, (180, 180), interpolation=cv2.INTER_NEAREST)
    return (image.astype(np.float32) / 255)[None]


def test_the_detector_of_qr_codes_finds_one(tmp_path):
    image = qr_code()
    made = export(tmp_path, "wechat_qrcode", "detect", images=[image])
    assert made.proofs[1].what == "image 1"
    (rows,) = run(tmp_path, data=image[None])
    best = rows[0, 0, rows[0, 0, :, 2].argmax()]
    assert best[1] == 1 and best[2] > 0.5
    np.testing.assert_allclose(best[3:] * 384, [60, 90, 260, 290], atol=25)


def test_its_magnifier_takes_any_size(tmp_path):
    export(tmp_path, "wechat_qrcode", "sr", dynamic=True)
    (large,) = run(tmp_path, data=np.zeros((1, 1, 31, 45), np.float32))
    assert large.shape == (1, 1, 61, 89)
