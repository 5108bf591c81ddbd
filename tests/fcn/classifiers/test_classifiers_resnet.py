"""ResNet-50, 101 and 152: parameters as the published caffemodels hold them."""

import pytest
from published_classifiers import as_published

pytestmark = pytest.mark.slow

#: Layer → shapes of its parameters.
PUBLISHED = {
    "resnet50": {
        "conv1": [(64, 3, 7, 7), (64,)],
        "bn_conv1": [(64,), (64,), (1,)],
        "res2a_branch1": [(256, 64, 1, 1)],
        "res4f_branch2b": [(256, 256, 3, 3)],
        "bn2a_branch2a": [(64,), (64,), (1,)],
        "scale5c_branch2c": [(2048,), (2048,)],
    },
    "resnet101": {
        "conv1": [(64, 3, 7, 7)],
        "res3b3_branch2c": [(512, 128, 1, 1)],
        "scale4b22_branch2a": [(256,), (256,)],
        "fc1000": [(1000, 2048), (1000,)],
    },
    "resnet152": {
        "res3b7_branch2a": [(128, 512, 1, 1)],
        "bn4b35_branch2c": [(1024,), (1024,), (1,)],
    },
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_the_published_ones(tmp_path, name):
    as_published(tmp_path, name, PUBLISHED[name])
