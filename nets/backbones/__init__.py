"""Backbones: each adds its layers to a NetSpec and returns what a head can read."""

from collections import namedtuple

#: What a backbone offers a head. top: the coarsest blob, at stride 32; pools: name → blob of a
#: finer stride, for the skips; padded: whether 100 pixels of padding around the image make every
#: finer blob larger than what is upsampled to it (VGG, AlexNet), or the other way round (backbones
#: with pad 1).
Features = namedtuple("Features", "top pools padded")

#: Weight and bias of a layer that learns: the bias twice as fast and without decay (facts of VGG-16
#: FCNs; the AlexNet trunk has none of it).
LEARNED = [dict(lr_mult=1, decay_mult=1), dict(lr_mult=2, decay_mult=0)]
