"""What the data layers share: decoding, draw order, augmentation, prefetch, the base class.

``layer.SegDataLayer`` is the base class of every data layer; it is the only module here that
imports ``caffe``, so that everything else can be used and tested without a net.

To add a dataset, subclass it in ``layers/<dataset>_layers.py`` and say three things: which keys
``param_str`` must have, how many classes there are, and where an entry's image and label lie.
"""

from segdata.errors import DataError

__all__ = ["DataError"]
