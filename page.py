"""Label images in the browser: python page.py, then open http://127.0.0.1:8000

Drop an image on the page, choose a net; see the classes, hover over them, switch them off, download
the label map and the overlay. Only this machine can open it. docs/page.md tells more.
"""

import os
import sys

os.environ.setdefault("GLOG_minloglevel", "2")  # Caffe prints every net, layer by layer

import bootstrap  # noqa: F401  finds the engine and the data layers
from fcn.console import exit_code
from fcn.page.command import main

if __name__ == "__main__":
    sys.exit(exit_code(main))
