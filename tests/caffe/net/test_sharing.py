"""Two nets with one set of weights: by layer name, data alone, all or nothing."""

import numpy as np
import pytest

import caffe


def build(tmp_path, *layers, name="net"):
    text = ["layer { name: 'x' type: 'Input' top: 'x' input_param { shape { dim: 1 dim: 3 } } }"]
    for layer, outputs, bias in layers:
        text.append(
            f"layer {{ name: '{layer}' type: 'InnerProduct' bottom: 'x' top: '{layer}' "
            f"inner_product_param {{ num_output: {outputs} bias_term: {bias} "
            "weight_filler { type: 'constant' value: 1 } } }"
        )
    path = tmp_path / (name + ".prototxt")
    path.write_text("\n".join(text))
    return caffe.Net(str(path), caffe.TEST)


def test_layers_of_one_name_share_their_data_and_not_their_gradients(tmp_path):
    mine = build(tmp_path, ("a", 2, "true"), ("mine", 2, "true"))
    theirs = build(tmp_path, ("theirs", 4, "true"), ("a", 2, "true"), name="other")
    mine.share_with(theirs)
    theirs.params["a"][0].data[...] = 7
    theirs.params["a"][1].diff[...] = 5
    assert (mine.params["a"][0].data == 7).all() and not mine.params["a"][1].diff.any()
    assert (mine.params["mine"][0].data == 1).all()
    mine.params["a"][1].data[...] = 3
    assert (theirs.forward()["a"] == 3).all()  # the input is zero


def test_what_is_shared_outlives_the_other_net(tmp_path):
    mine, theirs = (build(tmp_path, ("a", 2, "true"), name=n) for n in ("one", "two"))
    theirs.params["a"][0].data[...] = 2
    mine.share_with(theirs)
    del theirs
    mine.blobs["x"].data[...] = 1
    assert np.array_equal(mine.forward()["a"], [[6, 6]])


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (("b", 2, "false"), "number of blobs for layer 'b': the other net has 1, this one 2"),
        (("b", 5, "true"), r"param 0 weights from layer 'b'; shape mismatch.*5, 3.*2, 3"),
    ],
)
def test_nothing_is_shared_where_one_layer_does_not_fit(tmp_path, other, told):
    mine = build(tmp_path, ("a", 2, "true"), ("b", 2, "true"))
    theirs = build(tmp_path, ("a", 2, "true"), other, name="other")
    with pytest.raises(caffe.Error, match=told):
        mine.share_with(theirs)
    theirs.params["a"][0].data[...] = 9
    assert (mine.params["a"][0].data == 1).all()


def test_only_nets_have_parameters_to_share(tmp_path):
    with pytest.raises(TypeError, match="with another Net, got str"):
        build(tmp_path, ("a", 2, "true")).share_with("other.prototxt")
