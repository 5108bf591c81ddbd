"""Run the tests of FCN without pytest, on whatever `caffe` is installed: made for BVLC Caffe.

    python3 tests/fcn_on_bvlc.py [part of a test's name …]
"""

import importlib
import inspect
import os
import sys
import tempfile
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDERS = ("", "nets", "solvers")
MODULES = (
    "test_bootstrap",
    "test_fields",
    "test_make",
    "test_find_weights",
    "test_shapes",
    "test_surgery",
    "test_score",
    "test_progress",
    "test_snapshots",
    "test_training",
)


def main():
    for folder in FOLDERS:
        sys.path.insert(0, os.path.join(HERE, folder))
    import fcn_helpers  # noqa: F401  the path, and quiet logs

    from solvers.results import engine

    print("on", engine())
    failed = passed = 0
    for module in MODULES:
        tests = vars(importlib.import_module(module))
        for name, test in list(tests.items()):
            wanted = not sys.argv[1:] or any(part in name for part in sys.argv[1:])
            if not name.startswith("test_") or not wanted:
                continue
            began = time.time()
            with tempfile.TemporaryDirectory() as folder:
                takes = inspect.signature(test).parameters
                arguments = {"tmp_path": folder} if "tmp_path" in takes else {}
                try:
                    test(**arguments)
                    passed += 1
                    print(f"passed {module}.{name} ({time.time() - began:.1f} s)", flush=True)
                except Exception:
                    failed += 1
                    print(f"FAILED {module}.{name}", flush=True)
                    traceback.print_exc()
    print(f"{passed} passed, {failed} failed, on {engine()}")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
