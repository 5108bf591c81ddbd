"""The head `classes`: what the classifier knows is added."""

from head_nets import close, layer, value


def test_classes_adds_what_the_classifier_knows_to_the_decoders_score(made):
    train, net = made("classes", 8)
    close(value(net, "fuse_classes"), value(net, "upscore_classesc") + value(net, "score_fr"))
    coarse = layer(train, "score_classes")
    assert coarse.bottom[0] == layer(train, "lateral_fr").bottom[0]
    assert 0 < coarse.param[0].lr_mult < 1
    assert layer(train, "upscore8").bottom[0] == "fuse_classes"
