"""DenseImageData alone: its defaults and BVLC's names for them."""

from labelled import HEIGHT, WIDTH, dense, make


def test_one_picture_a_batch_unless_asked_for_more(tmp_path):
    make(tmp_path, 2)
    assert dense(tmp_path).top[0].dims == (1, 3, HEIGHT, WIDTH)
    rig = dense(tmp_path, "batch_size: 2 is_color: false new_height: 3 new_width: 4")
    assert [blob.dims for blob in rig.top] == [(2, 1, 3, 4), (2, 1, 3, 4)]
    assert rig.layer.log_name == "dense_image_data_layer"
