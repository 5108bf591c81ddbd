"""The published classifiers, built from their papers with the published layer and blob names.

A caffemodel published for one of them therefore loads by name. `catalog.py` is the table; each
other module builds one family; `python nets/classifiers.py NAME` writes a prototxt.
"""
