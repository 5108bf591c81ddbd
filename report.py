"""Show training runs in one HTML file: python report.py RUN [RUN …]

Curves, the IU of each class, the confusion matrix, pictures in the course of the run, the worst and
the best images, the net's layers and the settings; several runs side by side. The file needs
nothing else: no network, no scripts.
"""

import os

os.environ.setdefault("GLOG_minloglevel", "2")  # Caffe prints every net, layer by layer

import bootstrap  # noqa: F401  finds the engine and the data layers

if __name__ == "__main__":
    import sys

    from fcn.console import exit_code
    from fcn.report import command

    sys.exit(exit_code(command.main))
