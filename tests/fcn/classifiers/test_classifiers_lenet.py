"""LeNet and the siamese nets: parameters as the published caffemodels hold them."""

import pytest
from published_classifiers import as_published

pytestmark = pytest.mark.slow

#: Layer → shapes of its parameters.
PUBLISHED = {
    "lenet": {"conv2": [(50, 20, 5, 5), (50,)], "ip1": [(500, 800), (500,)]},
    "siamese": {"ip2": [(10, 500), (10,)], "feat": [(2, 10), (2,)]},
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_the_published_ones(tmp_path, name):
    as_published(tmp_path, name, PUBLISHED[name])
