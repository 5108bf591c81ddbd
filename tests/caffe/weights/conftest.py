import numpy as np
import pytest
from weight_files import GOLDEN


@pytest.fixture
def values():
    with np.load(GOLDEN / "weights.npz") as file:
        assert str(file["engine"]).startswith("BVLC Caffe")
        return {name: file[name] for name in file.files if name != "engine"}
