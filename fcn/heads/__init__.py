"""Heads: each makes, from what a backbone offers, scores of the size of the image.

    add(d, features, output)

d: a Draft; features: see fcn/backbones; output: of the dataset, adds … and the blob `score` with
the output's suffix. `fcn/catalog/heads.py` lists them.
"""
