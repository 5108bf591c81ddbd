"""LRCN, full and small: parameters as the published caffemodels hold them."""

import pytest
from published_classifiers import as_published

pytestmark = pytest.mark.slow

#: Layer → shapes of its parameters.
PUBLISHED = {
    "lrcn": {
        "embedding": [(8801, 1000)],
        "predict": [(8801, 1000), (8801,)],
        "lstm1": [(4000, 1000), (4000,), (4000, 1000)],
        "lstm2": [(4000, 1000), (4000,), (4000, 1000), (4000, 1000)],
    },
    "lrcn-small": {"lstm1": [(96, 24), (96,), (96, 24)]},
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_the_published_ones(tmp_path, name):
    as_published(tmp_path, name, PUBLISHED[name])
