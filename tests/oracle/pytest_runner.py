"""pytest under whichever `caffe` is imported, told first; the arguments are pytest's.

Made for BVLC Caffe's Debian 11, whose pytest 6.0 does not know all of pyproject.toml's options, and
for tests that need none of tests/conftest.py, which imports the engine's own modules.
"""

import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [ROOT, os.path.join(ROOT, "tests")]  # tests/ holds fcn_helpers
os.environ.setdefault("GLOG_minloglevel", "2")

import pytest  # noqa: E402

import bootstrap  # noqa: E402, F401  the path of the data layers
from fcn.scoring.results import engine  # noqa: E402

INI = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pytest6.ini")

if __name__ == "__main__":
    print("on", engine(), flush=True)
    fixed = ["-c", INI, "--rootdir", ROOT, "-p", "no:cacheprovider"]
    sys.exit(pytest.main(fixed + sys.argv[1:]))
