"""What docs/parity.md says beside a row: where BVLC Caffe aborts or is random, and what is done.

Name of the row → one sentence.
"""

NOTES = {
    "Pooling": "STOCHASTIC aborts on BVLC's CPU; the engine computes it, tested by its formula in "
               "TEST and by distribution in TRAIN",
    "HDF5Output": "BVLC aborts on a second forward pass",
    "Dropout": "the masks of a seed are BVLC's, bit for bit",
    "Python": "the same Python layers ran under both programs",
}
