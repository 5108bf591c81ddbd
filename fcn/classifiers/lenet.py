"""LeNet for MNIST, and the Siamese net of two of its towers (Hadsell et al. 2006)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from caffe import layers as L
from caffe import params as P
from fcn.classifiers.parts import XAVIER, ClassifierDraft

if TYPE_CHECKING:
    from caffe.net_spec import Top
    from caffe.proto import caffe_pb2

SHAPE = (64, 1, 28, 28)
SCALE = 1 / 256.0


def _tower(
    d: ClassifierDraft, bottom: Top, suffix: str = "", shared: bool = False
) -> tuple[Top, Callable[[str], dict[str, Any]]]:
    """conv1 … ip2; shared: parameters have names, so that towers use the same."""
    n = d.n

    def fields(name: str) -> dict[str, Any]:
        param: list[dict[str, Any]] = [dict(lr_mult=1), dict(lr_mult=2)]
        if shared:
            param = [dict(p, name=name + end) for p, end in zip(param, ("_w", "_b"))]
        filled = dict(weight_filler=XAVIER, bias_filler=dict(type="constant"))
        return dict(param=param, **(filled if d.training else {}))

    top = bottom
    for number, width in (("1", 20), ("2", 50)):
        n["conv" + number + suffix] = top = L.Convolution(
            top, num_output=width, kernel_size=5, stride=1, **fields("conv" + number)
        )
        n["pool" + number + suffix] = top = L.Pooling(
            top, pool=P.Pooling.MAX, kernel_size=2, stride=2
        )
    n["ip1" + suffix] = top = L.InnerProduct(top, num_output=500, **fields("ip1"))
    n["relu1" + suffix] = top = L.ReLU(top, in_place=True)
    n["ip2" + suffix] = top = L.InnerProduct(top, num_output=10, **fields("ip2"))
    return top, fields


def lenet(form: str) -> caffe_pb2.NetParameter:
    """LeNet as Caffe's MNIST example trains it."""
    d = ClassifierDraft("LeNet", form)
    data = ("examples/mnist/mnist_train_lmdb", "examples/mnist/mnist_test_lmdb")
    d.images(SHAPE, *data, batches=(64, 100), name="mnist", scale=SCALE)
    d.end(_tower(d, d.n.data)[0])
    return d.net()


def siamese(form: str) -> caffe_pb2.NetParameter:
    """Two towers with the same weights map a pair of digits to points of the plane, near for the
    same digit; deploy has one tower, which ends in `feat`."""
    d = ClassifierDraft("mnist_siamese" if form == "deploy" else "mnist_siamese_train_test", form)
    n = d.n
    if not d.training:
        d.input(data=(100,) + SHAPE[1:])
        top, fields = _tower(d, n.data)
        n.feat = L.InnerProduct(top, num_output=2, **fields("feat"))
        return d.net()
    phases = [
        dict(
            source=f"examples/siamese/mnist_siamese_{part}_leveldb",
            batch_size=batch,
            backend=P.Data.LEVELDB,
            transform_param=dict(scale=SCALE),
        )
        for part, batch in (("train", 64), ("test", 100))
    ]
    d.data("Data", "pair_data", ("pair_data", "sim"), *phases)
    n.data, n.data_p = L.Slice(n.pair_data, ntop=2, name="slice_pair", slice_dim=1, slice_point=1)
    for blob, suffix in (("data", ""), ("data_p", "_p")):
        top, fields = _tower(d, n[blob], suffix, shared=True)
        n["feat" + suffix] = L.InnerProduct(top, num_output=2, **fields("feat"))
    n.loss = L.ContrastiveLoss(n.feat, n.feat_p, n.sim, margin=1)
    return d.net()
