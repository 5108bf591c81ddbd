"""The papers' experiments on small data: one script each; docs/papers.md tells the results."""

import bootstrap  # noqa: F401  finds the engine and the data layers
