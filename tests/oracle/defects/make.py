"""What a defect is."""

from collections import namedtuple

# name: what is wrong; path: below src/caffe; old, new: the edit; types: whose cases must notice;
# also: more edits (path, old, new) that it takes.
Defect = namedtuple("Defect", "name path old new types also", defaults=[()])
