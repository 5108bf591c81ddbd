"""SqueezeNet 1.0 and 1.1: parameters as the published caffemodels hold them."""

import pytest
from published_classifiers import as_published

pytestmark = pytest.mark.slow

#: Layer → shapes of its parameters.
PUBLISHED = {
    "squeezenet1.0": {"conv1": [(96, 3, 7, 7), (96,)], "conv10": [(1000, 512, 1, 1), (1000,)]},
    "squeezenet1.1": {
        "fire2/squeeze1x1": [(16, 64, 1, 1), (16,)],
        "fire9/expand3x3": [(256, 64, 3, 3), (256,)],
    },
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_the_published_ones(tmp_path, name):
    as_published(tmp_path, name, PUBLISHED[name])
