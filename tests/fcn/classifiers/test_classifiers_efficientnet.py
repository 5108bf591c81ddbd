"""EfficientNet-Lite0, 1 and 2: parameters as the published caffemodels hold them."""

import pytest
from published_classifiers import as_published

pytestmark = pytest.mark.slow

#: Layer → shapes of its parameters.
PUBLISHED = {
    "efficientnet-lite0": {
        "stem": [(32, 3, 3, 3)],
        "block4_depthwise": [(144, 1, 5, 5)],
        "block16_project_scale": [(320,), (320,)],
        "head_bn": [(1280,), (1280,), (1,)],
        "fc": [(1000, 1280), (1000,)],
    },
    "efficientnet-lite1": {"block21_project": [(320, 1152, 1, 1)], "stem": [(32, 3, 3, 3)]},
    "efficientnet-lite2": {"block21_project": [(352, 1248, 1, 1)], "head": [(1280, 352, 1, 1)]},
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_the_published_ones(tmp_path, name):
    as_published(tmp_path, name, PUBLISHED[name])
