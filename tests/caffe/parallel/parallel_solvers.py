"""Two solvers in two processes, and the data that they train on."""

import os
import sys
from pathlib import Path

import h5py
import numpy as np

from tests.caffe import parallel_pair

PAIR = Path(parallel_pair.__file__)


NET = """
layer { name: "data" type: "HDF5Data" top: "data" top: "label"
        hdf5_data_param { source: "rows.txt" batch_size: 4 } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
        convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "frozen" type: "Scale" bottom: "conv" top: "conv"
        param { lr_mult: 0 } scale_param { filler { type: "constant" value: 1.5 } } }
layer { name: "ip" type: "InnerProduct" bottom: "conv" top: "ip" param { lr_mult: 2 }
        inner_product_param { num_output: 3 weight_filler { type: "gaussian" std: 0.1 } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""


def environment():
    path = os.pathsep.join([str(PAIR.parents[2]), *filter(None, sys.path)])
    return dict(os.environ, PYTHONPATH=path, OMP_NUM_THREADS="1", GLOG_minloglevel="2")


def write_data(folder):
    random = np.random.RandomState(0)
    with h5py.File(folder / "rows.h5", "w") as file:
        file["data"] = random.randn(24, 2, 5, 5).astype(np.float32)
        file["label"] = random.randint(0, 3, 24).astype(np.float32)
    (folder / "rows.txt").write_text("rows.h5\n")
    (folder / "net.prototxt").write_text(NET)


# What starts them -------------------------------------------------------------------------------

LONG = parallel_pair.SOLVER.format(
    net="net.prototxt",
    type="SGD",
    prefix="s",
    more="snapshot: 1 max_iter: 1000000 test_interval: 1 test_iter: 1",
)
