"""Training runs whose logs are compared: files, and the command lines to run on them."""

# Of our own making: notices about old formats are in our words, and say more.
SKIP = (r"^[IWE] upgrade_proto\.cpp\]", r"^[IW] hdf5\.cpp\]", r"^[IWE] blocking_queue")

DATA = """
layer { name: "data" type: "DummyData" top: "x" top: "t" dummy_data_param {
  shape { dim: 4 dim: 3 } shape { dim: 4 dim: 2 }
  data_filler { type: "uniform" min: -1 max: 1 } data_filler { type: "uniform" min: -2 max: 2 } } }
"""
IP = """
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y" param { lr_mult: 1 }
  param { lr_mult: 2 decay_mult: 0 } inner_product_param { num_output: 2
  weight_filler { type: "xavier" } bias_filler { type: "constant" value: 0.2 } } }
"""
LOSS = """
layer { name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "t" top: "loss" }
"""
NET = 'name: "small"' + DATA + IP + LOSS

# Splits, a layer in place, several losses and outputs, rules, shared parameters, a frozen layer.
RICH = (
    'name: "rich"'
    + DATA
    + """
layer { name: "a" type: "InnerProduct" bottom: "x" top: "a" param { name: "w" } param { name: "b" }
  inner_product_param { num_output: 3 weight_filler { type: "uniform" min: -0.5 max: 0.5 } } }
layer { name: "relu" type: "ReLU" bottom: "a" top: "a" }
layer { name: "b" type: "InnerProduct" bottom: "a" top: "b" param { name: "w" } param { name: "b" }
  inner_product_param { num_output: 3 weight_filler { type: "uniform" min: -0.5 max: 0.5 } } }
layer { name: "frozen" type: "InnerProduct" bottom: "b" top: "y" param { lr_mult: 0 }
  param { lr_mult: 0 } inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "side" type: "Power" bottom: "y" top: "side" power_param { scale: 3 } }
layer { name: "drop" type: "Dropout" bottom: "y" top: "d" include { phase: TRAIN } }
layer { name: "only" type: "Power" bottom: "y" top: "only" include { stage: "extra" } }
layer { name: "low" type: "Power" bottom: "y" top: "low" include { min_level: 2 } }
layer { name: "late" type: "Power" bottom: "y" top: "late" exclude { phase: TEST } }
layer { name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "t" top: "loss" loss_weight: 0.5 }
layer { name: "sum" type: "Reduction" bottom: "y" top: "sum" reduction_param { operation: SUMSQ }
  loss_weight: 0.01 }
"""
)

V1 = """
name: "old" input: "x" input_dim: 2 input_dim: 3 input_dim: 1 input_dim: 1
layers { name: "ip" type: INNER_PRODUCT bottom: "x" top: "y" blobs_lr: 1 blobs_lr: 2
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layers { name: "tt" type: POWER bottom: "y" top: "t" power_param { scale: 2 } }
layers { name: "loss" type: EUCLIDEAN_LOSS bottom: "y" bottom: "t" top: "loss" }
"""

BASE = """
base_lr: 0.05 lr_policy: "step" gamma: 0.5 stepsize: 3 momentum: 0.9 weight_decay: 0.01 max_iter: 8
display: 2 snapshot_prefix: "snap" random_seed: 3 solver_mode: CPU
"""
FILE = 'net: "net.prototxt"\n'
TRAIN = ["caffe", "train", "-solver", "solver.prototxt"]


def scenario(solver, net=NET, commands=(TRAIN,), **files):
    named = {name.replace("__", "."): text for name, text in files.items()}
    return {
        "files": dict(named, **{"net.prototxt": net, "solver.prototxt": solver}),
        "commands": [list(words) for words in commands],
    }


def policy(text):
    return scenario(FILE + BASE.replace('lr_policy: "step" gamma: 0.5 stepsize: 3', text))


def rule(kind, fields=""):
    plain = BASE if kind not in ("AdaGrad", "RMSProp") else BASE.replace("momentum: 0.9", "")
    return scenario(FILE + plain + f'type: "{kind}" delta: 1e-3 snapshot: 4 {fields}')


SCENARIOS = {
    "tests, snapshots, display": scenario(
        FILE + BASE + "test_iter: 2 test_interval: 4 snapshot: 5"
    ),
    "nothing shown": scenario(FILE + BASE.replace("display: 2", "display: 0")),
    "average_loss, iter_size": scenario(FILE + BASE + "average_loss: 3 iter_size: 2"),
    "clip_gradients": scenario(FILE + BASE + "clip_gradients: 0.5 iter_size: 2"),
    "test_compute_loss, no test_initialization": scenario(
        FILE + BASE + "test_iter: 3 test_interval: 2 test_compute_loss: true "
        "test_initialization: false snapshot_after_train: false"
    ),
    "a rich net": scenario(FILE + BASE + "test_iter: 1 test_interval: 3", RICH),
    "level and stage": scenario(FILE + BASE, RICH, [TRAIN + ["-level", "2", "--stage=extra,more"]]),
    "several test nets": scenario(
        'train_net: "net.prototxt" test_net: "net.prototxt" test_net: "other.prototxt" '
        'test_iter: 1 test_iter: 2 test_interval: 3 test_state { stage: "a" } '
        'test_state { stage: "b" level: 3 }' + BASE,
        other__prototxt=NET.replace("small", "other"),
    ),
    "a test net and the generic net": scenario(
        FILE + 'test_net: "other.prototxt" test_iter: 1 test_iter: 2 test_interval: 3' + BASE,
        other__prototxt=NET.replace("small", "other"),
    ),
    "nets in the solver": scenario(
        f"net_param {{ {NET} }} test_net_param {{ {NET} }} test_iter: 1 test_iter: 1 "
        f"test_interval: 4 {BASE}"
    ),
    "train net in the solver": scenario(f"train_net_param {{ {NET} }} {BASE}"),
    "debug_info": scenario(
        FILE
        + BASE.replace("max_iter: 8", "max_iter: 2")
        + "debug_info: true test_iter: 1 test_interval: 1",
        RICH,
    ),
    "HDF5 snapshots": scenario(FILE + BASE + "snapshot: 4 snapshot_format: HDF5"),
    "resume": scenario(
        FILE + BASE + "snapshot: 4",
        commands=[TRAIN, TRAIN + ["-snapshot", "snap_iter_4.solverstate"]],
    ),
    "resume from HDF5": scenario(
        FILE + BASE + "snapshot: 4 snapshot_format: HDF5",
        commands=[TRAIN, TRAIN + ["-snapshot", "snap_iter_4.solverstate.h5"]],
    ),
    "finetune": scenario(
        FILE + BASE + "test_iter: 1 test_interval: 4",
        commands=[
            TRAIN,
            [
                "caffe",
                "train",
                "-solver",
                "two.prototxt",
                "-weights",
                "snap_iter_8.caffemodel, snap_iter_8.caffemodel",
            ],
        ],
        two__prototxt='net: "two_net.prototxt"' + BASE,
        two_net__prototxt=NET.replace('"ip"', '"fresh"'),
    ),
    "weights in the solver": scenario(
        FILE + BASE,
        commands=[
            TRAIN,
            ["caffe", "train", "-solver", "two.prototxt"],
            ["caffe", "train", "-solver", "two.prototxt", "-snapshot", "snap_iter_8.solverstate"],
        ],
        two__prototxt=FILE
        + 'weights: "snap_iter_8.caffemodel" test_iter: 1 test_interval: 4'
        + BASE.replace("max_iter: 8", "max_iter: 10"),
    ),
    "an old net, solver_type": scenario(FILE + BASE + "solver_type: NESTEROV", V1),
    "prefix is a folder": scenario(FILE + BASE.replace('"snap"', '"."')),
    "no prefix": scenario(FILE + BASE.replace('snapshot_prefix: "snap"', "")),
    "L1": scenario(FILE + BASE + 'regularization_type: "L1" snapshot_diff: true'),
    "SGD": rule("SGD"),
    "Nesterov": rule("Nesterov"),
    "AdaGrad": rule("AdaGrad"),
    "RMSProp": rule("RMSProp", "rms_decay: 0.9"),
    "AdaDelta": rule("AdaDelta"),
    "Adam": rule("Adam"),
    "fixed": policy('lr_policy: "fixed"'),
    "exp": policy('lr_policy: "exp" gamma: 0.9'),
    "inv": policy('lr_policy: "inv" gamma: 0.1 power: 0.75'),
    "multistep": policy('lr_policy: "multistep" gamma: 0.3 stepvalue: 1 stepvalue: 2 stepvalue: 5'),
    "poly": policy('lr_policy: "poly" power: 0.9'),
    "sigmoid": policy('lr_policy: "sigmoid" gamma: 0.4 stepsize: 4'),
}
