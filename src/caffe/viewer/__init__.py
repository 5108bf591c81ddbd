"""A net as one HTML page: its graph, and of each layer what there is to know.

facts.py   shapes, parameters, multiply-adds, stride and receptive field of a built net's layers
timing.py  how long each layer takes
graph.py   boxes and arrows: a layer with those that work in place on its top
layout.py  where boxes stand, top-down, without Graphviz
page.py    the HTML
"""

from caffe.viewer.page import view

__all__ = ["view"]
