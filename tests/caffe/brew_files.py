"""The small net and solver that the tests of commands run, and what these print."""

import re

from caffe import cli

NET = """
name: "small"
layer { name: "data" type: "DummyData" top: "x" top: "t" dummy_data_param {
  shape { dim: 4 dim: 3 } shape { dim: 4 dim: 2 }
  data_filler { type: "constant" value: 1 } data_filler { type: "constant" value: 2 } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y" 
  inner_product_param { num_output: 2 weight_filler { type: "constant" value: 0.1 } } }
layer { name: "extra" type: "Power" bottom: "t" top: "extra" include { stage: "more" } }
layer { name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "t" top: "loss" }
"""


SOLVER = """
net: "net.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 3 display: 1 snapshot_prefix: "snap"
solver_mode: CPU
"""


def call(line):
    return cli.main(line.split())


def messages(capfd):
    return [
        re.sub(r"^[IWEF]\S+ \S+ +\d+ \S+\] ?", "", line)
        for line in capfd.readouterr().err.splitlines()
    ]
