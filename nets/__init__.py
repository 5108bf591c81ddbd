"""The networks: a table of experiments, their builders and the prototxts made from them."""
