"""examples/faster_rcnn.py: its geometry, and small nets of both kinds with random weights."""

import numpy as np
import pytest
from PIL import Image
from published_nets import FASTER_RCNN_TEST, RFCN_TEST

import caffe
from examples import faster_rcnn


def test_deltas_move_and_stretch():
    boxes = np.array([[10, 20, 19, 39]])  # 10 wide, 20 high
    deltas = np.array([[0, 0, 0, 0, 0.5, -0.25, np.log(2), np.log(0.5)]])
    assert faster_rcnn.moved(boxes, deltas).tolist() == [[[10, 20, 20, 40], [10, 20, 30, 30]]]


def test_pictures_get_their_size_and_lose_the_mean():
    for size, scale in (((300, 400), 2), ((100, 400), 2.5)):
        data, found = faster_rcnn.prepared(Image.new("RGB", size, (3, 2, 1)))
        assert found == scale and data.shape == (1, 3, size[1] * scale, size[0] * scale)
        assert np.allclose(data[0, :, 0, 0], [1, 2, 3] - faster_rcnn.MEAN)


def test_of_overlapping_boxes_the_best_stays():
    boxes = np.array([[0, 0, 9, 9], [1, 0, 10, 9], [20, 20, 29, 29]])
    assert faster_rcnn.suppressed(boxes, np.array([0.7, 0.9, 0.8]), 0.5).tolist() == [1, 2]


@pytest.mark.parametrize("text", [FASTER_RCNN_TEST, RFCN_TEST], ids=["Faster R-CNN", "R-FCN"])
def test_a_small_net_of_each_kind(text, tmp_path, capsys):
    (tmp_path / "test.prototxt").write_text(text)
    caffe.set_random_seed(1)
    net = caffe.Net(str(tmp_path / "test.prototxt"), caffe.TEST)
    net.save(str(tmp_path / "w.caffemodel"))
    draw = np.random.default_rng(0)
    image = Image.fromarray(draw.integers(0, 256, (90, 120, 3)).astype(np.uint8))
    image.save(tmp_path / "photo.png")
    args = [str(tmp_path / "photo.png"), "--net", str(tmp_path / "test.prototxt")]
    args += ["--weights", str(tmp_path / "w.caffemodel"), "--out", str(tmp_path / "out.png")]
    faster_rcnn.main([*args, "--least", "0", "--shorter", "180"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 20 and lines[-1].endswith("out.png")
    assert {line.split()[0] for line in lines[:-1]} == set(faster_rcnn.VOC[1:])
    with Image.open(tmp_path / "out.png") as out:
        assert out.size == image.size and out.tobytes() != image.tobytes()
    objects = faster_rcnn.detect(net, image, 0, shorter=180)
    assert (objects[:, 2:] >= 0).all() and (objects[:, 2:] <= [119, 89, 119, 89]).all()
