"""The two nets for CIFAR-10: parameters as the published caffemodels hold them."""

import pytest
from published_classifiers import as_published

pytestmark = pytest.mark.slow

#: Layer → shapes of its parameters.
PUBLISHED = {
    "cifar10-quick": {"conv3": [(64, 32, 5, 5), (64,)], "ip1": [(64, 1024), (64,)]},
    "cifar10-full": {"ip1": [(10, 1024), (10,)]},
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_the_published_ones(tmp_path, name):
    as_published(tmp_path, name, PUBLISHED[name])
