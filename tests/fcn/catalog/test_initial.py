"""Which weights an experiment starts from, and where they may lie."""

from fcn import catalog
from fcn.catalog import initial


def test_weights_of_a_stage_are_ours_before_the_published_ones():
    (source,) = initial.stage("voc-fcn32s")
    assert source.suffix == "" and [path for path, _ in source.places] == [
        "{out}/voc-fcn32s.caffemodel",
        "nets/voc-fcn32s/fcn32s-heavy-pascal.caffemodel",
    ]
    assert source.places[0][1] == "made by python nets/voc-fcn32s/solve.py"
    (source,) = initial.stage("toy-fcn32s", "-d", "mine")
    assert source == ((("{out}/toy-fcn32s.caffemodel", "mine"),), "-d")


def test_classifiers_are_read_as_convolutions_before_inner_products():
    (vgg,) = initial.VGG16
    assert [path for path, _ in vgg.places] == [
        "ilsvrc-nets/vgg16-fcn.caffemodel",
        "ilsvrc-nets/VGG_ILSVRC_16_layers.caffemodel",
    ]
    assert "python nets/convolutionize.py vgg16" in vgg.places[0][1]
    assert len(initial.RESNET50[0].places) == 1  # nothing to convert


def test_published_files_belong_to_rows_of_the_table():
    assert set(initial.PUBLISHED) <= set(catalog.EXPERIMENTS)
    assert len(set(initial.PUBLISHED.values())) == len(initial.PUBLISHED) == 14
