"""The two nets of Caffe's CIFAR-10 example (Krizhevsky's cuda-convnet): quick and full."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from caffe import layers as L
from caffe import params as P
from fcn.classifiers.parts import ClassifierDraft, gaussian

if TYPE_CHECKING:
    from caffe.net_spec import Top
    from caffe.proto import caffe_pb2

SHAPE = (1, 3, 32, 32)
MULTIPLIERS = [dict(lr_mult=1), dict(lr_mult=2)]


def _begin(name: str, form: str) -> ClassifierDraft:
    d = ClassifierDraft(name, form)
    data = ("examples/cifar10/cifar10_train_lmdb", "examples/cifar10/cifar10_test_lmdb")
    mean = "examples/cifar10/mean.binaryproto"
    d.images(SHAPE, *data, batches=(100, 100), name="cifar", mean_file=mean)
    return d


def _stage(
    d: ClassifierDraft,
    number: str,
    bottom: Top,
    width: int,
    std: float,
    param: Sequence[dict[str, Any]] | None = MULTIPLIERS,
) -> Top:
    """Convolution, ReLU and pooling; the first stage pools maxima, and before its ReLU."""
    n = d.n
    more: dict[str, Any] = dict(param=param) if param else {}
    more.update(d.fillers(gaussian(std)))
    n["conv" + number] = top = L.Convolution(
        bottom, num_output=width, pad=2, kernel_size=5, stride=1, **more
    )
    if number != "1":
        n["relu" + number] = top = L.ReLU(top, in_place=True)
    kind = P.Pooling.MAX if number == "1" else P.Pooling.AVE
    n["pool" + number] = top = L.Pooling(top, pool=kind, kernel_size=3, stride=2)
    if number == "1":
        n["relu" + number] = top = L.ReLU(top, in_place=True)
    return top


def _norm(d: ClassifierDraft, number: str, bottom: Top) -> Top:
    region = P.LRN.WITHIN_CHANNEL
    d.n["norm" + number] = top = L.LRN(
        bottom, local_size=3, alpha=5e-5, beta=0.75, norm_region=region
    )
    return top


def quick(form: str) -> caffe_pb2.NetParameter:
    """Two fully connected layers, learned in minutes."""
    d = _begin("CIFAR10_quick" + ("_test" if form == "deploy" else ""), form)
    top = _stage(d, "1", d.n.data, 32, 0.0001)
    top = _stage(d, "2", top, 32, 0.01)
    top = _stage(d, "3", top, 64, 0.01)
    for name, width in (("ip1", 64), ("ip2", 10)):
        d.n[name] = top = L.InnerProduct(
            top, num_output=width, param=MULTIPLIERS, **d.fillers(gaussian(0.1))
        )
    d.end(top)
    return d.net()


def full(form: str) -> caffe_pb2.NetParameter:
    """Normalised within channels, one fully connected layer with a strong decay."""
    d = _begin("CIFAR10_full" + ("_deploy" if form == "deploy" else ""), form)
    top = _norm(d, "1", _stage(d, "1", d.n.data, 32, 0.0001))
    top = _norm(d, "2", _stage(d, "2", top, 32, 0.01))
    top = _stage(d, "3", top, 64, 0.01, param=None)
    d.n.ip1 = top = L.InnerProduct(
        top,
        num_output=10,
        param=[dict(lr_mult=1, decay_mult=250), dict(lr_mult=2, decay_mult=0)],
        **d.fillers(gaussian(0.01)),
    )
    d.end(top)
    return d.net()
