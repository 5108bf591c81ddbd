"""EltwiseAccuracy: the share of right pixels (DeconvNet)."""

from __future__ import annotations

from typing import Any

from caffe.layer import register
from caffe.layer.accuracy import Accuracy


@register("EltwiseAccuracy")
class EltwiseAccuracy(Accuracy):
    """:class:`~caffe.layer.accuracy.Accuracy` under DeconvNet's name.
    ``eltwise_accuracy_param``: ``top_k`` (1), ``ignore_label``."""

    def __init__(self, param: Any, phase: int) -> None:
        super().__init__(param, phase)
        own = type(param)()
        own.CopyFrom(param)
        given = own.eltwise_accuracy_param
        own.accuracy_param.top_k = given.top_k
        if given.HasField("ignore_label"):
            own.accuracy_param.ignore_label = given.ignore_label
        self.param = own
