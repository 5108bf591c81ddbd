"""Scores: measures of a histogram, a net over a data set, saved predictions, the command line."""
