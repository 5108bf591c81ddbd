"""Heads: each makes, from what a backbone offers, scores of the size of the image.

    add(d, features, output)

d: a Draft; features: see fcn/backbones; output: of the dataset, adds … and the blob `score` with
the output's suffix. HEADS lists them.
"""

from collections import OrderedDict, namedtuple

from fcn.heads import concat, fusion, light, pyramid, sums, unet

#: add: see above. fuse: the same for several trunks, whose scores are averaged, or None.
#: classifier: whether it reads fc6 and fc7 of trunks that have them.
Head = namedtuple("Head", "add fuse classifier")

HEADS = OrderedDict(
    (
        ("sum", Head(sums.add, sums.fuse, classifier=True)),
        ("light", Head(light.add, light.fuse, classifier=False)),
        ("concat", Head(concat.add, None, classifier=True)),
        ("pyramid", Head(pyramid.add, None, classifier=False)),
        ("fusion", Head(fusion.add, None, classifier=False)),
        ("unet", Head(unet.add, None, classifier=False)),
    )
)
