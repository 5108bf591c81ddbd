"""MobileNet v1 and v2: parameters as the published caffemodels hold them."""

import pytest
from published_classifiers import as_published

pytestmark = pytest.mark.slow

#: Layer → shapes of its parameters.
PUBLISHED = {
    "mobilenet1": {
        "conv2_1/dw": [(32, 1, 3, 3)],
        "conv6/sep": [(1024, 1024, 1, 1)],
        "conv5_6/dw/scale": [(512,), (512,)],
        "fc7": [(1000, 1024, 1, 1), (1000,)],
    },
    "mobilenet2": {
        "conv2_1/expand": [(32, 32, 1, 1)],
        "conv6_3/linear": [(320, 960, 1, 1)],
        "conv4_7/dwise": [(384, 1, 3, 3)],
        "conv6_4/bn": [(1280,), (1280,), (1,)],
    },
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_the_published_ones(tmp_path, name):
    as_published(tmp_path, name, PUBLISHED[name])
