"""AlexNet (Krizhevsky et al. 2012) and CaffeNet, its twin that pools before it normalises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fcn.backbones import LEARNED, alexnet
from fcn.classifiers.parts import ClassifierDraft, gaussian

if TYPE_CHECKING:
    from caffe.proto import caffe_pb2

SHAPE = (10, 3, 227, 227)
MEAN_FILE = "data/ilsvrc12/imagenet_mean.binaryproto"
#: Layers whose biases start at `bias`, so that their ReLUs are active at first; others at 0.
RAISED = ("conv2", "conv4", "conv5", "fc6", "fc7")


def _build(name: str, form: str, norm_first: bool, bias: float) -> caffe_pb2.NetParameter:
    d = ClassifierDraft(name, form)
    d.ilsvrc(SHAPE, (256, 50), mirror=True, mean_file=MEAN_FILE)

    def raised(layer: str) -> float:
        return bias if layer in RAISED else 0

    def fields(layer: str) -> dict[str, Any]:
        return dict(d.fillers(gaussian(0.01), raised(layer)), param=LEARNED)

    top = alexnet.add_convolutions(d.n, d.n.data, norm_first=norm_first, fields=fields)["pool5"]
    for number in "67":
        layer = "fc" + number
        top = d.inner_product(layer, top, 4096, gaussian(0.005), raised(layer))
        top = d.relu_drop(number, top)
    d.end(d.inner_product("fc8", top, 1000, gaussian(0.01)))
    return d.net()


def alexnet_net(form: str) -> caffe_pb2.NetParameter:
    """BVLC's AlexNet."""
    return _build("AlexNet", form, norm_first=True, bias=0.1)


def caffenet(form: str) -> caffe_pb2.NetParameter:
    """BVLC's reference CaffeNet."""
    return _build("CaffeNet", form, norm_first=False, bias=1)
