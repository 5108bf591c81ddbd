"""What goes together in an experiment."""

from fcn_helpers import raised

from fcn import catalog
from fcn.catalog import datasets


def test_what_does_not_go_together_is_refused():
    assert "no backbone 'vgg13'; there are vgg16" in raised(
        ValueError, catalog.plan, datasets.VOC, "vgg13", 8
    )
    assert "strides 32, 16, 8; received 4" in raised(
        ValueError, catalog.plan, datasets.VOC, "vgg16", 4
    )
    assert "at once goes with" in raised(
        ValueError, catalog.plan, datasets.VOC, "vgg16", 32, at_once=True
    )
    assert "several need early or late fusion" in raised(
        ValueError, catalog.plan, datasets.NYUD_COLOR_HHA, "vgg16", 32
    )
    assert "two image blobs: nyud; received voc" in raised(
        ValueError, datasets.named, "voc", two_stream=True
    )
    assert "no dataset 'coco'" in raised(LookupError, datasets.named, "coco")
