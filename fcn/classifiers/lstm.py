"""LRCN (Donahue et al. 2015): two LSTMs that write a sentence about an image's features.

The first LSTM reads the words, the second also the image, as its static input. Axis 0 of words is
time, axis 1 the sentence. `cont_sentence` is 0 where a sentence begins. The published net is
`lrcn`; `lrcn-small` is the same with few words and units.
"""

from __future__ import annotations

from collections import namedtuple
from typing import TYPE_CHECKING, Any

from caffe import layers as L
from fcn.classifiers.parts import ClassifierDraft

if TYPE_CHECKING:
    from caffe.proto import caffe_pb2

#: words: in the vocabulary; units: of each LSTM and of the embedding; features: of an image; steps,
#: sentences: the shape of a batch of words in training; deploy_sentences: in deploy, word by word.
Size = namedtuple("Size", "words units features steps sentences deploy_sentences")

PUBLISHED = Size(8801, 1000, 1000, 20, 100, 1000)
SMALL = Size(50, 24, 16, 6, 4, 5)

NO_WORD = -1  # the target where a sentence has ended
UNIFORM = dict(type="uniform", min=-0.08, max=0.08)


def _build(name: str, size: Any, form: str) -> caffe_pb2.NetParameter:
    d = ClassifierDraft(name, form)
    n = d.n
    if d.training:
        for layer, tops, batch in (
            ("sentences", ("cont_sentence", "input_sentence", "target_sentence"), size.steps),
            ("features", ("image_features",), size.sentences),
        ):
            phases = [
                dict(source=f"examples/coco_caption/{part}_{layer}.txt", batch_size=batch)
                for part in ("train", "val")
            ]
            d.data("HDF5Data", layer, tops, *phases)
    else:
        words = (1, size.deploy_sentences)
        d.input(
            cont_sentence=words,
            input_sentence=words,
            image_features=(size.deploy_sentences, size.features),
        )
    filled = dict(weight_filler=UNIFORM) if d.training else {}
    biased = dict(filled, **(dict(bias_filler=dict(type="constant", value=0)) if filled else {}))
    n.embedded_input_sentence = L.Embed(
        n.input_sentence,
        name="embedding",
        input_dim=size.words,
        num_output=size.units,
        bias_term=False,
        **filled,
    )
    recurrent = dict(num_output=size.units, **biased)
    n.lstm1 = L.LSTM(n.embedded_input_sentence, n.cont_sentence, recurrent_param=recurrent)
    n.lstm2 = L.LSTM(n.lstm1, n.cont_sentence, n.image_features, recurrent_param=recurrent)
    n.predict = L.InnerProduct(n.lstm2, axis=2, num_output=size.words, **biased)
    if not d.training:
        n.probs = L.Softmax(n.predict, axis=2)
        return d.net()
    n.cross_entropy_loss = L.SoftmaxWithLoss(
        n.predict,
        n.target_sentence,
        softmax_param=dict(axis=2),
        loss_weight=20,
        loss_param=dict(ignore_label=NO_WORD),
    )
    n.accuracy = L.Accuracy(
        n.predict, n.target_sentence, axis=2, ignore_label=NO_WORD, include=dict(phase=1)
    )
    return d.net()


def lrcn(form: str) -> caffe_pb2.NetParameter:
    """The published size."""
    return _build("lrcn", PUBLISHED, form)


def lrcn_small(form: str) -> caffe_pb2.NetParameter:
    """Small enough for a test."""
    return _build("lrcn_small", SMALL, form)
