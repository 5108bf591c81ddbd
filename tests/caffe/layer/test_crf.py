"""What the layers of CRFs share: rows of pixels and their features."""

import pytest
import torch
from harness import Rig

from caffe.errors import ShapeError
from caffe.layer.extensions import _crf as crf


def test_pixels_are_rows_and_their_features_are_in_deviations():
    maps = torch.arange(24.0).view(2, 3, 4)
    rows = crf.by_pixel(maps)
    assert rows.shape == (12, 2) and rows[5].tolist() == [5, 17]  # row 1, column 1
    places = crf.spatial_features(3, 4, 2.0, maps.device)
    assert places[[0, 3, 4, 11]].tolist() == [[0, 0], [1.5, 0], [0, 0.5], [1.5, 1]]
    both = crf.bilateral_features(maps, 2.0, 4.0)
    assert both[5].tolist() == [0.5, 0.5, 5 / 4, 17 / 4]


def test_a_picture_without_a_lattice_is_the_layers_error():
    layer = Rig('type: "DenseCRF"', (1, 2, 3, 3), (1, 2)).layer
    with pytest.raises(ShapeError, match="layer 'layer' .*cannot filter this picture: .* finite"):
        crf.lattice(layer, torch.full((9, 2), torch.nan))
