"""Published weights: which there are, where they lie, how they are fetched, checked and loaded."""
