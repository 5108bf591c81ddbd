"""GoogLeNet: nine inception modules, each the concatenation of four streams."""

from backbone_nets import built, skips, widths


def test_a_module_concatenates_its_four_streams():
    net, features, blob = built("googlenet")
    joined = [layer for layer in net.layer if layer.type == "Concat"]
    wide = widths(net)
    assert [layer.name for layer in joined] == [
        f"inception_{m}/output" for m in ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b")
    ]
    totals = [sum(wide[bottom] for bottom in layer.bottom) for layer in joined]
    assert totals == [256, 480, 512, 512, 512, 528, 832, 832, 1024]  # table 1 of the paper
    assert all(len(layer.bottom) == 4 for layer in joined)
    assert (features.stride, features.channels) == (32, 1024)
    assert skips(features, blob) == {
        16: ("inception_4e/output", 832),
        8: ("inception_3b/output", 480),
    }


def test_the_average_behind_the_modules_and_the_inner_classifiers_are_gone():
    net, features, blob = built("googlenet")
    assert blob(features.top) == "inception_5b/output" == net.layer[-1].name
    assert not [layer for layer in net.layer if layer.name.startswith("loss")]
