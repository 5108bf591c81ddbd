"""The papers' experiments on small data: one script each; docs/experiments.md tells the results."""
