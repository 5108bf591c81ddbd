"""Train voc-fcn32s: python nets/voc-fcn32s/solve.py --help"""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, os.pardir, os.pardir))
from solvers import loop

if __name__ == "__main__":
    sys.exit(loop.main(os.path.basename(HERE)))
