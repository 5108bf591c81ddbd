"""DenseImageData and ImageSegData: lists, label types, sizes, errors."""

import numpy as np
import pytest
from harness import TEST, TRAIN
from labelled import HEIGHT, WIDTH, batches, dense, make, seg

import caffe
from caffe.errors import DataError, LayerError


@pytest.mark.parametrize("kind", [dense, seg])
def test_pictures_and_labels_in_order(tmp_path, device, kind):
    fields = "batch_size: 2" + (" label_type: PIXEL" if kind is seg else "")
    rig = kind(make(tmp_path, 3), fields)
    assert rig.top[0].dims == (2, 3, HEIGHT, WIDTH) and rig.top[1].dims == (2, 1, HEIGHT, WIDTH)
    first = []
    for data, labels in batches(rig, 3):
        assert np.array_equal(data, np.broadcast_to(labels, data.shape))
        first += labels[:, 0, 0, 0].tolist()
    assert first == [0, 10, 20, 0, 10, 20]


@pytest.mark.parametrize("kind", [dense, seg])
@pytest.mark.parametrize("text", ["mirror: true crop_size: 5", "crop_size: 4", "mirror: true"])
def test_labels_are_cropped_and_mirrored_with_their_picture(tmp_path, kind, text):
    caffe.set_random_seed(1)
    rig = kind(make(tmp_path), more=f"transform_param {{ {text} }}")
    views = set()
    for data, labels in batches(rig, 20):
        assert np.array_equal(data, np.broadcast_to(labels, data.shape))
        views.add((labels[0, 0, 0, 0] % 10, labels[0, 0, 0, 1] - labels[0, 0, 0, 0]))
    assert len(views) > 1


def test_each_picture_may_have_its_own_size(tmp_path):
    sizes = [(4, 5), (7, 3), (2, 9)]
    make(tmp_path, 3, sizes)
    for rig in (dense(tmp_path), seg(tmp_path)):
        shapes = [labels.shape[2:] for _, labels in batches(rig, 3)]
        assert shapes == sizes
    assert rig.top[2].data.ravel().tolist() == [2, 9]
    with pytest.raises(
        DataError, match=r"1.png\): the picture is 3 x 7 x 3.*first one of the batch"
    ):
        dense(tmp_path, "batch_size: 3").forward()


def test_resized_labels_stay_labels(tmp_path):
    rig = dense(make(tmp_path, 1), "new_height: 9 new_width: 5")
    data, labels = next(iter(batches(rig, 1)))
    assert data.shape == (1, 3, 9, 5) and labels.shape == (1, 1, 9, 5)
    assert set(np.unique(labels)) <= set(range(HEIGHT * WIDTH))
    assert labels[0, 0, 0].tolist() == [0, 1, 3, 4, 6]  # OpenCV's INTER_NEAREST


def test_pictures_smaller_than_the_crop(tmp_path):
    make(tmp_path, 2, [(4, 5), (7, 10)])
    more = "transform_param { crop_size: 7 mean_value: 3 }"
    rig = seg(tmp_path, "label_type: PIXEL batch_size: 2 ignore_label: 77", more, phase=TEST)
    data, labels = next(iter(batches(rig, 1)))
    assert data.shape == (2, 3, 7, 7)
    assert rig.top[2].data.reshape(2, 2).tolist() == [[4, 5], [7, 7]]
    assert (labels[0, 0, 4:] == 77).all() and not data[0, :, 4:].any()
    assert np.array_equal(data[0, 0, :4, :5], labels[0, 0, :4, :5] - 3)
    assert np.array_equal(data[1, 0], labels[1, 0] - 3) and labels[1, 0, 0, 0] == 11
    with pytest.raises(DataError, match="crop of 7 x 7 is larger than the picture, 4 x 5"):
        dense(tmp_path, more="transform_param { crop_size: 7 }")


def test_label_types(tmp_path):
    make(tmp_path, 2)
    (tmp_path / "list.txt").write_text("/0.png 7\n\n/1.png 0\n")
    labels = [labels for _, labels in batches(seg(tmp_path, "", tops=2), 2)]
    assert [set(part.ravel()) for part in labels] == [{7}, {0}]
    (tmp_path / "list.txt").write_text("/0.png\n/1.png\n")
    rig = seg(tmp_path, "label_type: NONE ignore_label: 21")
    assert {n for _, labels in batches(rig, 2) for n in labels.ravel()} == {21}


def test_settings_that_make_no_sense(tmp_path):
    make(tmp_path)
    for kind in (dense, seg):
        with pytest.raises(LayerError, match="must be set at the same time"):
            kind(tmp_path, "new_height: 3")
        with pytest.raises(LayerError, match="batch_size must be positive"):
            kind(tmp_path, "batch_size: 0")
    with pytest.raises(DataError, match="is no whole number; expected lines 'image label'"):
        seg(tmp_path, "")
    (tmp_path / "list.txt").unlink()
    with pytest.raises(DataError, match="cannot read the list"):
        dense(tmp_path)


def test_v1_layers(tmp_path):
    make(tmp_path, 2)
    path = tmp_path / "n.prototxt"
    path.write_text(f"""
        layers {{ name: "data" type: DENSE_IMAGE_DATA top: "data" top: "label"
          dense_image_data_param {{ source: "{tmp_path}/list.txt" root_folder: "{tmp_path}"
            batch_size: 2 }} }}
        layers {{ name: "seg" type: IMAGE_SEG_DATA top: "data2" top: "label2"
          image_data_param {{ source: "{tmp_path}/list.txt" root_folder: "{tmp_path}"
            batch_size: 1 crop_size: 3 label_type: PIXEL }} }}""")
    net = caffe.Net(str(path), caffe.TEST)
    out = net.forward()
    assert out["label"].shape == (2, 1, HEIGHT, WIDTH) and out["label2"].shape == (1, 1, 3, 3)
    assert np.array_equal(out["data2"][:, :1], out["label2"])
    assert TRAIN == 0
