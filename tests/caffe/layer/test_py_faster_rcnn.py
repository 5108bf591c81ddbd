"""py-faster-rcnn's Python layers, without their module."""

import numpy as np
import pytest
from harness import TEST, TRAIN
from proposing import bottoms, propose, published_anchors, python

from caffe.errors import LayerError
from caffe.layer.extensions._py_faster_rcnn import SELECTIONS, read_settings


@pytest.mark.parametrize("phase", [TRAIN, TEST])
@pytest.mark.parametrize("seed", range(3))
def test_the_python_layer_without_its_module(device, phase, seed):
    args = bottoms(seed)
    rig = python("'feat_stride': 16", args, phase=phase, tops=2)
    rois = rig.forward(*args)
    least, before, after, overlap = SELECTIONS[phase]
    expected = propose(
        args[0][0], args[1][0], args[2][0, :2], published_anchors(), least * 1.5, before, after,
        overlap, drop=True,
    )  # fmt: skip
    assert rois.shape == (len(expected), 5) and not rois[:, 0].any()
    assert np.allclose(rois[:, 1:], expected[:, 1:], atol=1e-3)
    assert np.allclose(rig.top[1].data, expected[:, :1])


def test_the_python_layer_takes_other_settings():
    args = bottoms(0, anchors=3)
    text = "'feat_stride': 16 \n'scales': !!python/tuple [8]\n'RPN_POST_NMS_TOP_N': 4"
    rig = python(text, args, phase=TEST)
    assert rig.forward(*args).shape == (4, 5)
    with pytest.raises(LayerError, match="param_str sets scale; ProposalLayer knows feat_stride"):
        python("'scale': [8]", args)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("'feat_stride': 16", {"feat_stride": 16}),
        ("{'feat_stride': 16, 'scales': (8, 16)}", {"feat_stride": 16, "scales": (8, 16)}),
        ("'feat_stride': 16\\n'scales': [4]", {"feat_stride": 16, "scales": [4]}),
        ("feat_stride: 16\nscales: [4]\n", {"feat_stride": 16, "scales": [4]}),
        ("", {}),
    ],
)
def test_param_str(text, found):
    assert read_settings(text) == found


@pytest.mark.parametrize("text", ["feat_stride", "16", "'a': import", "a: __import__('os')"])
def test_param_str_that_is_something_else(text):
    with pytest.raises(LayerError, match="must hold 'name': value pairs"):
        read_settings(text)


def test_a_users_module_is_preferred(tmp_path, monkeypatch):
    (tmp_path / "rpn").mkdir()
    (tmp_path / "rpn" / "__init__.py").write_text("")
    (tmp_path / "rpn" / "proposal_layer.py").write_text(
        "import caffe\nclass ProposalLayer(caffe.Layer):\n"
        "    def setup(self, bottom, top): top[0].reshape(7)\n"
        "    def reshape(self, bottom, top): pass\n"
        "    def forward(self, bottom, top): pass\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        assert python("", bottoms(0)).top[0].dims == (7,)
        (tmp_path / "rpn" / "proposal_layer.py").write_text("print 'Python 2'")
    finally:
        forget("rpn")
    try:
        with pytest.raises(LayerError, match=r"SyntaxError.*the layer that is built in here"):
            python("", bottoms(0))
    finally:
        forget("rpn")


def forget(package):
    import sys

    for name in [n for n in sys.modules if n.split(".")[0] == package]:
        del sys.modules[name]
