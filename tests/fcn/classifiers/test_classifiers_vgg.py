"""VGG-16 and VGG-19: parameters as the published caffemodels hold them."""

import pytest
from published_classifiers import as_published

pytestmark = pytest.mark.slow

#: Layer → shapes of its parameters.
PUBLISHED = {
    "vgg16": {
        "conv1_1": [(64, 3, 3, 3), (64,)],
        "conv5_3": [(512, 512, 3, 3), (512,)],
        "fc6": [(4096, 25088), (4096,)],
    },
    "vgg19": {"conv3_4": [(256, 256, 3, 3), (256,)], "fc8": [(1000, 4096), (1000,)]},
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_the_published_ones(tmp_path, name):
    as_published(tmp_path, name, PUBLISHED[name])
