"""AlexNet and CaffeNet: parameters as the published caffemodels hold them."""

import pytest
from published_classifiers import as_published

pytestmark = pytest.mark.slow

#: Layer → shapes of its parameters.
PUBLISHED = {
    "alexnet": {
        "conv1": [(96, 3, 11, 11), (96,)],
        "conv2": [(256, 48, 5, 5), (256,)],
        "fc6": [(4096, 9216), (4096,)],
        "fc8": [(1000, 4096), (1000,)],
    },
    "caffenet": {"conv5": [(256, 192, 3, 3), (256,)], "fc7": [(4096, 4096), (4096,)]},
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_the_published_ones(tmp_path, name):
    as_published(tmp_path, name, PUBLISHED[name])
