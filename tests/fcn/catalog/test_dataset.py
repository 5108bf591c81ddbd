"""One dataset as a net sees it."""

from fcn.catalog import datasets
from fcn.catalog.dataset import Input, dataset


def made(**more):
    layer = datasets.TOY.val
    return dataset(
        "data/mine/dataset.json", 3, (4, 5), ("root",), layer, layer, (1, 2, 3), 7, **more
    )


def test_what_is_not_said_is_one_colour_image_and_one_label():
    found = made()
    assert (found.classes, found.val_images, found.files) == (3, 7, ("train", "val"))
    assert found.inputs == (Input("data", 3, (1, 2, 3)),) and found.photo
    assert found.label == "mine"  # of a dataset.json its folder
    assert datasets.VOC.label == "voc"


def test_a_photo_is_not_all_that_some_read():
    assert datasets.NYUD_COLOR.photo and not datasets.NYUD_HHA.photo
    assert datasets.NYUD_COLOR_HHA.reads == ["color", "hha"] and not datasets.NYUD_COLOR_HHA.photo
