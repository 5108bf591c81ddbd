"""GoogLeNet (Szegedy et al. 2015): nine inception modules; two more classifiers in training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from caffe import layers as L
from caffe import params as P
from fcn.backbones.googlenet import add_modules, conv
from fcn.classifiers.parts import XAVIER, ClassifierDraft

if TYPE_CHECKING:
    from caffe.net_spec import Top
    from caffe.proto import caffe_pb2

SHAPE = (10, 3, 224, 224)


def _scores(
    d: ClassifierDraft, group: str, scores: Top, loss: tuple[str, str], weight: float
) -> None:
    """The loss and both accuracies of one classifier."""
    d.n[loss[1]] = L.SoftmaxWithLoss(scores, d.n.label, name=loss[0], loss_weight=weight)
    d.accuracy(group + "/top-1", scores)
    d.accuracy(group + "/top-5", scores, top_k=5)


def _auxiliary(d: ClassifierDraft, group: str, bottom: Top) -> None:
    """A classifier on an inner module, weighted 0.3, that only training needs."""
    n = d.n
    n[group + "/ave_pool"] = top = L.Pooling(bottom, pool=P.Pooling.AVE, kernel_size=5, stride=3)
    top = conv(d.n, group, "conv", top, 128, 1, **d.fillers(XAVIER, 0.2))
    top = d.inner_product(group + "/fc", top, 1024, XAVIER, 0.2)
    n[group + "/relu_fc"] = top = L.ReLU(top, in_place=True)
    n[group + "/drop_fc"] = top = L.Dropout(top, dropout_ratio=0.7, in_place=True)
    scores = d.inner_product(group + "/classifier", top, 1000, XAVIER)
    _scores(d, group, scores, (group + "/loss", group + "/loss1"), 0.3)


def googlenet(form: str) -> caffe_pb2.NetParameter:
    """BVLC's GoogLeNet."""
    d = ClassifierDraft("GoogleNet", form)
    d.ilsvrc(SHAPE, (32, 50), mirror=True, mean_value=[104, 117, 123])
    for module, top in add_modules(d.n, d.n.data, **d.fillers(XAVIER, 0.2)):
        if module in ("4a", "4d") and d.training:
            _auxiliary(d, "loss1" if module == "4a" else "loss2", top)
    d.n["pool5/7x7_s1"] = top = L.Pooling(top, pool=P.Pooling.AVE, kernel_size=7, stride=1)
    d.n["pool5/drop_7x7_s1"] = top = L.Dropout(top, dropout_ratio=0.4, in_place=True)
    scores = d.inner_product("loss3/classifier", top, 1000, XAVIER)
    if d.training:
        _scores(d, "loss3", scores, ("loss3/loss3", "loss3/loss3"), 1)
    else:
        d.n.prob = L.Softmax(scores)
    return d.net()
