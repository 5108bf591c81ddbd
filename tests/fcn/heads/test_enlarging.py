"""An image enlarged inside the net: where its pixels lie, and that the scores fit the image."""

import numpy as np
import pytest
from fcn_helpers import raised

import caffe
from fcn import catalog
from fcn.build import build
from fcn.catalog import datasets
from fcn.heads import enlarging
from fcn.prototxt import to_text
from fcn.random_weights import fill


def enlarged_net(tmp_path, ratio):
    n = caffe.NetSpec()
    n["data"] = caffe.layers.Input(shape=dict(dim=[1, 2, 9, 14]))
    enlarging.enlarge(n, n["data"], 2, ratio)
    path = tmp_path / "enlarged.prototxt"
    path.write_text(to_text(n.to_proto()), encoding="utf-8")
    return caffe.Net(str(path), caffe.TEST)


@pytest.mark.parametrize("ratio", [(4, 3), (2, 1), (3, 2), (4, 1)])
def test_a_pixel_lies_at_its_share_of_the_way(tmp_path, ratio):
    net = enlarged_net(tmp_path, ratio)
    image = np.random.RandomState(1).standard_normal((1, 2, 9, 14)).astype(np.float32)
    net.blobs["data"].data[...] = image
    found = net.forward()["enlarged_data"]
    rows, columns = ((length - 1) * ratio[0] // ratio[1] + 1 for length in (9, 14))
    assert found.shape == (1, 2, rows, columns)
    expected = np.empty(found.shape)
    for i in range(rows):
        for j in range(columns):
            y, x = i * ratio[1] / ratio[0], j * ratio[1] / ratio[0]
            top, left = int(y), int(x)
            bottom, right = min(top + 1, 8), min(left + 1, 13)
            y, x = y - top, x - left
            above = (1 - x) * image[0, :, top, left] + x * image[0, :, top, right]
            below = (1 - x) * image[0, :, bottom, left] + x * image[0, :, bottom, right]
            expected[0, :, i, j] = (1 - y) * above + y * below
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_scores_between_pixels_are_refused():
    assert enlarging.stride_of(4, (4, 3)) == 3 and enlarging.stride_of(8, (1, 1)) == 8
    assert "the stride times 3 must be a multiple of 4" in raised(
        ValueError, enlarging.stride_of, 2, (4, 3)
    )


def test_only_nets_that_score_are_enlarged_and_their_scores_have_the_image_s_size(tmp_path):
    row = catalog.plan(datasets.TOY, "efficientnet-lite0", 8, head="light", enlarged=(4, 3))
    assert "enlarged_data" not in to_text(build(row, "train"))
    assert 'bottom: "enlarged_data"' in to_text(build(row, "val"))
    path = tmp_path / "deploy.prototxt"
    path.write_text(to_text(build(row, "deploy")), encoding="utf-8")
    net = caffe.Net(str(path), caffe.TEST)
    fill(net)
    net.blobs["data"].reshape(1, 3, 45, 70)
    assert net.forward()["score"].shape == (1, datasets.TOY_CLASSES, 45, 70)
    assert list(net.blobs["enlarged_data"].shape) == [1, 3, 59, 93]
    # Scores at stride 8 of the larger image are at stride 6 of the image.
    assert list(net.params["upscore6"][0].shape[2:]) == [11, 11]


def test_a_trunk_whose_scores_would_lie_between_pixels_is_refused():
    row = catalog.plan(datasets.TOY, "toy", 8, head="light", enlarged=(4, 3))
    assert "no crop aligns a blob at" in raised(ValueError, build, row, "deploy")
