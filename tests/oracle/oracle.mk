# Comparison with real BVLC Caffe; included by the top Makefile, which sets BIN and the target setup.
# ORACLE_ROOT names the oracle's root; default: a folder in the user's cache.

.PHONY: oracle oracle-build oracle-golden oracle-teeth

# Everything live: each layer type, whole nets, snapshots across the two programs.
oracle: setup
	$(BIN)/python tests/oracle/compare.py
	$(BIN)/python tests/oracle/whole_nets.py
	$(BIN)/python tests/oracle/snapshots.py

# A Debian 11 root with BVLC Caffe: once, as root, with debootstrap; about 1 GB.
oracle-build: setup
	$(BIN)/python tests/oracle/build.py

# Store BVLC Caffe's results anew, after a change of the cases.
oracle-golden: setup
	$(BIN)/python tests/oracle/golden.py --write

# Plant defects in a copy of the engine and show that each is caught; needs no oracle.
oracle-teeth: setup
	$(BIN)/python tests/oracle/teeth.py
