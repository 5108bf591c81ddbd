"""Write files with BVLC Caffe, to be read by the engine: python3 tests/caffe/golden/weights.py

A net with every shape of parameter (4, 2, 1 axes, shared) is trained for three iterations with
Adam, whose history has two blobs per parameter, and saved in both formats.
"""

import os

import numpy as np

NET = """
name: "golden"
layer { name: "data" type: "DummyData" top: "data" top: "label"
  dummy_data_param {
    shape { dim: 2 dim: 3 dim: 5 dim: 5 } shape { dim: 2 dim: 4 }
    data_filler { type: "gaussian" } data_filler { type: "uniform" } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 2 kernel_size: 3 bias_term: false
    weight_filler { type: "gaussian" std: 0.3 } } }
layer { name: "norm" type: "BatchNorm" bottom: "conv" top: "norm" }
layer { name: "ip1" type: "InnerProduct" bottom: "norm" top: "ip1" param { name: "shared" }
  inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }
layer { name: "ip2" type: "InnerProduct" bottom: "norm" top: "ip2" param { name: "shared" }
  inner_product_param { num_output: 4 weight_filler { type: "xavier" } bias_term: false } }
layer { name: "loss1" type: "EuclideanLoss" bottom: "ip1" bottom: "label" top: "loss1" }
layer { name: "loss2" type: "EuclideanLoss" bottom: "ip2" bottom: "label" top: "loss2" }
"""
SOLVER = """
net_param {%s}
type: "Adam" base_lr: 0.01 momentum: 0.9 momentum2: 0.99 lr_policy: "multistep" stepvalue: 1
gamma: 0.5 max_iter: 3 random_seed: 3 snapshot_prefix: "snap" snapshot_format: %s snapshot_diff: %s
"""


def main():
    import caffe

    os.chdir(os.path.dirname(os.path.abspath(__file__)))
    for form, diff in (("HDF5", "true"), ("BINARYPROTO", "true"), ("BINARYPROTO", "false")):
        with open("solver.tmp", "w") as f:
            f.write(SOLVER % (NET, form, diff))
        solver = caffe.AdamSolver("solver.tmp")
        solver.step(3)
        solver.snapshot()
        if form == "BINARYPROTO" and diff == "true":
            os.rename("snap_iter_3.caffemodel", "snap_with_diff.caffemodel")
    values = {}
    for name, blobs in solver.net.params.items():
        for i, blob in enumerate(blobs):
            values[f"{name}.{i}"] = blob.data
            values[f"{name}.{i}.diff"] = blob.diff
    engine = getattr(caffe, "__engine__", "BVLC Caffe " + caffe.__version__)
    np.savez_compressed("weights.npz", engine=np.array(engine), **values)
    os.remove("solver.tmp")
    print("engine:", engine, sorted(values))


if __name__ == "__main__":
    main()
