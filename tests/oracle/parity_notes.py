"""What docs/parity.md says beside a row: where BVLC Caffe aborts or is random, and what is done.

Name of the row → one sentence.
"""

NOTES = {
    "Pooling": "STOCHASTIC aborts on BVLC's CPU; the engine computes it, tested by its formula in "
               "TEST and by distribution in TRAIN",
    "HDF5Data": "BVLC shuffles by C's rand(), which no seed of Caffe's reaches; the engine by "
                "Caffe's stream; shuffled rows are compared as sets",
    "HDF5Output": "BVLC aborts on a second forward pass; the engine appends its rows",
    "MemoryData": "the arrays are used in place by both",
    "WindowData": "the windows and mirrors of a seed are BVLC's",
    "Dropout": "the masks of a seed are BVLC's, bit for bit",
    "Python": "the same Python layers ran under both programs",
}
