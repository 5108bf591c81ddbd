"""Train a net on a folder of images and a folder of masks: checks, weights, training, report.

    python train.py --images photos --masks masks --out my-net
    python infer.py photo.jpg --net my-net

Images and masks belong together by name. Masks are PNGs of class numbers (palette or grey), of grey
values, or in colours: which of them is found out, and said. --dry-run shows the plan and writes
nothing. --resume RUN goes on with a run that was stopped.
"""

import os

os.environ.setdefault("GLOG_minloglevel", "2")  # Caffe prints every net, layer by layer

import bootstrap  # noqa: F401  finds the engine and the data layers

if __name__ == "__main__":
    import sys

    from fcn.console import exit_code
    from fcn.own import command

    sys.exit(exit_code(command.main))
