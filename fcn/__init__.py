"""Fully convolutional networks: their experiments as a table, builders, training, scoring, use."""

import bootstrap  # noqa: F401  finds the engine and the data layers
