"""What the classifiers share: where their data come from, and how they end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import caffe
from caffe import layers as L
from fcn.backbones import LEARNED

if TYPE_CHECKING:
    from caffe.net_spec import Top
    from caffe.proto import caffe_pb2

FORMS = ("train_val", "deploy")

ILSVRC_TRAIN = "examples/imagenet/ilsvrc12_train_lmdb"
ILSVRC_VAL = "examples/imagenet/ilsvrc12_val_lmdb"


class ClassifierDraft:
    """A net in the making: `n` is its NetSpec, `training` says which of the two forms it has."""

    def __init__(self, name: str, form: str) -> None:
        if form not in FORMS:
            raise ValueError("form is {} or {}; got {!r}".format(*FORMS, form))
        self.n = caffe.NetSpec()
        self.name = name
        self.training = form == "train_val"
        self._test_layers: list[caffe_pb2.LayerParameter] = []

    def input(self, **shapes: Sequence[int]) -> None:
        """Inputs of deploy: blob → its shape."""
        for blob, shape in shapes.items():
            self.n[blob] = L.Input(shape=dict(dim=list(shape)))

    def data(
        self, kind: str, name: str, tops: Sequence[str], train: dict[str, Any], test: dict[str, Any]
    ) -> None:
        """A data layer of train_val in two phases: the fields of each are `train` and `test`."""
        for phase, fields in ((caffe.TRAIN, train), (caffe.TEST, test)):
            made = getattr(L, kind)(ntop=len(tops), name=name, include=dict(phase=phase), **fields)
            made = made if len(tops) > 1 else (made,)
            if phase == caffe.TRAIN:
                for blob, top in zip(tops, made):
                    self.n[blob] = top
            else:
                layer = caffe.to_proto(*made).layer[0]
                del layer.top[:]
                layer.top.extend(tops)
                self._test_layers.append(layer)

    def images(
        self,
        shape: Sequence[int],
        train: str,
        val: str,
        batches: tuple[int, int],
        mirror: bool = False,
        name: str = "data",
        backend: int | None = None,
        **more: Any,
    ) -> None:
        """The blob `data` (and `label` in train_val); more: what both phases transform alike."""
        if not self.training:
            return self.input(data=shape)
        backend = caffe.params.Data.LMDB if backend is None else backend
        phases = []
        for source, batch, flip in zip((train, val), batches, (True, False)):
            transform = dict(more, mirror=flip) if mirror else more
            phases.append(
                dict(
                    source=source,
                    batch_size=batch,
                    backend=backend,
                    transform_param=dict(transform),
                )
            )
        return self.data("Data", name, ("data", "label"), *phases)

    def ilsvrc(self, shape: Sequence[int], batches: tuple[int, int], **more: Any) -> None:
        """Images of ILSVRC 2012, cropped to the deploy net's size."""
        self.images(shape, ILSVRC_TRAIN, ILSVRC_VAL, batches, crop_size=shape[2], **more)

    def fillers(self, weight: dict[str, Any], bias: float = 0) -> dict[str, Any]:
        """Fields that fill a layer in train_val; none in deploy, whose weights are loaded."""
        if not self.training:
            return {}
        return dict(weight_filler=weight, bias_filler=dict(type="constant", value=bias))

    def inner_product(
        self, name: str, bottom: Top, width: int, weight: dict[str, Any], bias: float = 0
    ) -> Top:
        """A fully connected layer that learns with the usual multipliers."""
        self.n[name] = top = L.InnerProduct(
            bottom, num_output=width, param=LEARNED, **self.fillers(weight, bias)
        )
        return top

    def relu_drop(self, number: str, bottom: Top, ratio: float = 0.5) -> Top:
        """relu6 and drop6 on fc6, in place."""
        self.n["relu" + number] = top = L.ReLU(bottom, in_place=True)
        self.n["drop" + number] = top = L.Dropout(top, dropout_ratio=ratio, in_place=True)
        return top

    def accuracy(self, name: str, scores: Top, **fields: Any) -> None:
        """The share of right predictions, in the test phase."""
        self.n[name] = L.Accuracy(scores, self.n.label, include=dict(phase=caffe.TEST), **fields)

    def end(self, scores: Top, top5: bool = False) -> None:
        """Probabilities in deploy; accuracy and loss in train_val."""
        if not self.training:
            self.n.prob = L.Softmax(scores)
            return
        self.accuracy("accuracy", scores)
        if top5:
            self.accuracy("accuracy_top5", scores, top_k=5)
        self.n.loss = L.SoftmaxWithLoss(scores, self.n.label)

    def net(self) -> caffe_pb2.NetParameter:
        """The NetParameter; test data layers follow their training twins."""
        net = self.n.to_proto()
        net.name = self.name
        layers = []
        for layer in net.layer:
            layers.append(layer)
            layers += [twin for twin in self._test_layers if twin.name == layer.name]
        made = type(net)(name=self.name)
        made.layer.extend(layers)
        return made


def gaussian(std: float) -> dict[str, Any]:
    return dict(type="gaussian", std=std)


XAVIER = dict(type="xavier")
MSRA = dict(type="msra")
