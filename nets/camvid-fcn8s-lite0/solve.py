"""Train camvid-fcn8s-lite0: python nets/camvid-fcn8s-lite0/solve.py --help"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
from fcn.training import loop

if __name__ == "__main__":
    sys.exit(loop.main("camvid-fcn8s-lite0"))
