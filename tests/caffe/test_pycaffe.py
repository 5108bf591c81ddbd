"""caffe.pycaffe and caffe._caffe: the classes that scripts look for there are the engine's."""

import pytest

import caffe
from caffe import _caffe, pycaffe


@pytest.mark.parametrize("module", [pycaffe, _caffe])
def test_every_name_is_there_and_the_engines_own(module):
    assert len(set(module.__all__)) == len(module.__all__)
    for name in module.__all__:
        value = getattr(module, name)
        if hasattr(caffe, name):
            assert value is getattr(caffe, name), name
    assert module.Net is caffe.Net and module.SGDSolver is caffe.SGDSolver


def test_the_extension_has_its_version_and_base_class():
    assert _caffe.__version__ == caffe.__version__ == "1.0.0"
    assert issubclass(caffe.SGDSolver, _caffe.Solver)
    assert set(pycaffe.__all__) <= set(_caffe.__all__)
