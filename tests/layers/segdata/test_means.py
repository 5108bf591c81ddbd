"""One table of means: what the layers subtract is what the catalog feeds."""

import numpy as np
import pytest

from fcn.catalog import datasets
from segdata import means


@pytest.mark.parametrize(
    "dataset, module, layer, attribute, expected",
    [
        ("siftflow", "siftflow_layers", "SIFTFlowSegDataLayer", "mean", means.SIFTFLOW),
        (
            "pascalcontext",
            "pascalcontext_layers",
            "PASCALContextSegDataLayer",
            "mean",
            means.PASCALCONTEXT,
        ),
        ("nyud", "nyud_layers", "NYUDSegDataLayer", "mean_bgr", means.NYUD_COLOR),
    ],
)
def test_layers_and_catalog_agree(dataset, module, layer, attribute, expected):
    found = getattr(getattr(__import__(module), layer), attribute)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.array(expected, np.float32))
    assert datasets.NAMED[dataset].inputs[0].mean == expected


def test_every_mean_is_told_by_the_datasets_that_pass_it_on():
    """Data layers that take the mean as a parameter get that of the deploy net's input."""
    passed = 0
    for name, dataset in datasets.NAMED.items():
        for source in (dataset.train, dataset.val):
            if "mean" in source.params:
                assert source.params["mean"] == dataset.inputs[0].mean, name
                passed += 1
    assert passed >= 8


def test_means_are_of_three_channels_from_0_to_255():
    for name in set(means.__all__) - {"NYUD_LOG_DEPTH"}:
        values = getattr(means, name)
        assert len(values) == 3 and all(0 < value < 255 for value in values), name
    assert 5 < means.NYUD_LOG_DEPTH < 10  # the logarithm of 0.15 m to 22 m in millimetres
