"""Numbers for a proof: what each layer that reads an input can take."""

import numpy as np
from exporting import net_text

import caffe
from caffe.export.feeds import feeds, readers


def net_of(tmp_path, layers, *shapes):
    (tmp_path / "net.prototxt").write_text(net_text(layers, *shapes))
    return caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST)


def test_photos_have_a_deviation_of_50_and_other_numbers_of_1(tmp_path):
    layers = ["type: 'Power' bottom: 'x0' top: 'a'", "type: 'Power' bottom: 'x1' top: 'b'"]
    found = feeds(net_of(tmp_path, layers, (1, 3, 40, 50), (1, 4, 40, 50)))
    assert 45 < found["x0"].std() < 55 and 0.9 < found["x1"].std() < 1.1


def test_a_seed_decides(tmp_path):
    net = net_of(tmp_path, ["type: 'Power'"], (2, 3))
    assert np.array_equal(feeds(net, 1)["x0"], feeds(net, 1)["x0"])
    assert not np.array_equal(feeds(net, 1)["x0"], feeds(net, 2)["x0"])


def test_indices_stay_within_what_they_point_into(tmp_path):
    layers = [
        "type: 'Embed' bottom: 'x0' top: 'a' embed_param { input_dim: 7 num_output: 2 }",
        "type: 'BatchReindex' bottom: 'x1' bottom: 'x2' top: 'b'",
    ]
    found = feeds(net_of(tmp_path, layers, (50,), (3, 2), (50,)))
    assert set(found["x0"]) == set(range(7)) and set(found["x2"]) == {0, 1, 2}


def test_sequences_begin_and_a_filter_keeps_something(tmp_path):
    layers = [
        "type: 'RNN' bottom: 'x0' bottom: 'x1' top: 'a' recurrent_param { num_output: 2 }",
        "type: 'Filter' bottom: 'x2' bottom: 'x3' top: 'b'",
    ]
    found = feeds(net_of(tmp_path, layers, (30, 2, 4), (30, 2), (9, 2), (9,)))
    assert set(found["x1"].ravel()) == {0, 1} and not found["x1"][0].any()
    assert set(found["x3"]) <= {0, 1} and found["x3"][0] == 1


def test_regions_lie_in_the_image_that_the_features_are_of(tmp_path):
    layer = (
        "type: 'ROIPooling' bottom: 'x0' bottom: 'x1' top: 'a' "
        "roi_pooling_param { pooled_h: 2 pooled_w: 2 spatial_scale: 0.25 }"
    )
    regions = feeds(net_of(tmp_path, [layer], (2, 4, 10, 20), (30, 5)))["x1"]
    item, left, top, right, bottom = regions.T
    assert set(item) == {0, 1} and (left <= right).all() and (top <= bottom).all()
    assert right.max() < 80 and bottom.max() < 40 and regions.min() >= 0


def test_readers_are_found_through_layers_that_only_pass_numbers_on(tmp_path):
    layers = [
        "name: 'flat' type: 'Flatten' bottom: 'x0' top: 'f'",
        "name: 'id' type: 'Embed' bottom: 'f' top: 'a' embed_param { input_dim: 7 num_output: 2 }",
        "name: 'twice' type: 'Power' bottom: 'f' top: 'b' power_param { scale: 2 }",
    ]
    found = readers(net_of(tmp_path, layers, (5, 2)), "x0")
    assert {(layer.name, bottom) for layer, bottom in found} >= {("flat", 0), ("id", 0)}
    assert ("twice", 0) in {(layer.name, bottom) for layer, bottom in found}
