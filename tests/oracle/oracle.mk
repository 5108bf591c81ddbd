# Comparison with real BVLC Caffe; included by the top Makefile, which sets BIN and the target setup.
# ORACLE_ROOT names the oracle's root; default: a folder in the user's cache.

.PHONY: oracle parity oracle-build oracle-golden oracle-opencv oracle-teeth

# Everything live: each layer type, whole nets, snapshots across the two programs, the tools; then
# what stands on the engine: solve.py and infer.py on both programs, all its tests on BVLC Caffe.
oracle: setup
	$(BIN)/python tests/oracle/parity.py

# The same, and write what was counted into docs/parity.md.
parity: setup
	$(BIN)/python tests/oracle/parity.py --write

# A Debian 11 root with BVLC Caffe: once, as root, with debootstrap; about 1 GB. A root that is older
# than the list of packages gets what it lacks.
oracle-build: setup
	$(BIN)/python tests/oracle/build.py

# Store BVLC Caffe's results anew, after a change of the cases.
oracle-golden: setup
	$(BIN)/python tests/oracle/golden.py --write

# Layers of forks and whole SSD nets against OpenCV 4's Caffe importer; needs no root.
oracle-opencv: setup
	$(BIN)/python tests/oracle/opencv_layers.py
	$(BIN)/python tests/oracle/opencv_ssd.py

# Plant defects in a copy of the engine and show that each is caught; needs no oracle.
oracle-teeth: setup
	$(BIN)/python tests/oracle/teeth.py
