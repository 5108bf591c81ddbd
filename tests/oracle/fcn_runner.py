"""Run a script of the checkout as `python SCRIPT ARGUMENT…` does, then tell which engine it used.

python fcn_runner.py SCRIPT ARGUMENT…
"""

import os
import runpy
import sys

if __name__ == "__main__":
    sys.argv = sys.argv[1:]
    sys.path[0] = os.path.dirname(os.path.abspath(sys.argv[0]))
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    finally:
        from fcn.scoring.results import engine  # not before: the script itself must find the engine

        print("engine:", engine(), flush=True)
