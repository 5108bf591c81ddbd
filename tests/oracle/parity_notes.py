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
    "LSTM": "parameters that two layers share by name are shared by every time step; BVLC's TRAIN "
    "nets use stale copies from the second step on",
    "RNN": "as LSTM",
    "InfogainLoss": "BVLC aborts on three bottoms under force_backward; the engine raises",
    "Threshold": "BVLC aborts where force_backward asks for its gradient; the engine raises",
    "Filter": "the selector has no gradient: BVLC aborts under force_backward, the engine raises",
    "Embed": "BVLC aborts under force_backward and reads outside its memory for a wild index; the "
    "engine raises",
    "BatchReindex": "the index has no gradient: BVLC aborts under force_backward, the engine "
    "raises",
    "Python": "the same Python layers ran under both programs",
}
