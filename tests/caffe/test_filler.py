"""The fillers against BVLC Caffe's own values (golden/filler.py makes them)."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format

from caffe.errors import LayerError
from caffe.filler import FILLERS, fill
from caffe.proto import caffe_pb2
from caffe.rng import set_random_seed

GOLDEN = Path(__file__).parent / "golden"
_spec = importlib.util.spec_from_file_location("golden_filler", GOLDEN / "filler.py")
golden = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(golden)


def filled(shape, text):
    array = np.full(shape, np.nan, np.float32)
    fill(array, text_format.Parse(text, caffe_pb2.FillerParameter()))
    return array


@pytest.mark.slow
@pytest.mark.parametrize("name", golden.CASES)
def test_values_are_those_of_bvlc_caffe_bit_for_bit(name):
    seed, fills = golden.CASES[name]
    with np.load(GOLDEN / "filler.npz") as file:
        assert str(file["engine"]).startswith("BVLC Caffe")
        set_random_seed(seed)
        for i, (shape, text) in enumerate(fills):
            np.testing.assert_array_equal(
                golden.keep(filled(shape, text)), file[f"{name}.{i}"], err_msg=f"{shape} {text}"
            )


def test_every_filler_has_a_golden_case():
    used = {text for _, fills in golden.CASES.values() for _, text in fills}
    for name in FILLERS:
        assert name == "constant" or any(f'"{name}"' in text for text in used)


def test_a_scalar_parameter_can_be_filled():
    set_random_seed(1)
    assert np.isfinite(filled((), 'type: "gaussian"'))
    assert filled((), "value: 2") == 2


@pytest.mark.parametrize(
    ("shape", "text", "message"),
    [
        ((2,), 'type: "gausian"', r"Unknown filler name: 'gausian'.*Did you mean 'gaussian'"),
        ((2,), 'type: "uniform" min: 1 max: 0', "min must not be above max.*min: 1 max: 0"),
        ((2,), 'type: "gaussian" std: 0', "std must be positive.*std: 0"),
        ((2, 2), 'type: "xavier" sparse: 1', "sparse is known to the gaussian filler only"),
        ((0, 2), 'type: "constant"', r"empty, shape \(0, 2\)"),
        ((), 'type: "msra"', "at least one axis"),
        ((1, 1, 4, 3), 'type: "bilinear"', r"square kernel, received shape \(1, 1, 4, 3\)"),
        ((4, 4), 'type: "bilinear"', r"4 axes.*received shape \(4, 4\)"),
    ],
)
def test_settings_that_cannot_work_are_one_clear_error(shape, text, message):
    with pytest.raises(LayerError, match=message):
        filled(shape, text)
