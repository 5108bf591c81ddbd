"""Records what BVLC Caffe's own upgrade functions make of old nets and solvers.

Run with the Python of BVLC Caffe, in this folder::

    python3 make_upgrade.py        writes upgrade.json

pycaffe does not offer these functions, so they are called in the library itself, each case in a
child process, because a failed check ends it.  The cases are also what the tests run.
"""

import ctypes
import json
import os
import subprocess
import sys
import tempfile

NET_CASES = {
    "v2 unchanged": 'name: "n" layer { name: "a" type: "Split" bottom: "x" top: "y" }',
    "v0 every type": """
        name: "old" input: "x" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8
        force_backward: true
        layers { layer { name: "conv" type: "conv" num_output: 3 biasterm: false kernelsize: 5
                 group: 3 stride: 2 pad: 1 weight_filler { type: "xavier" }
                 bias_filler { value: 3 } blobs_lr: 1 blobs_lr: 2 weight_decay: 1
                 blobs { num: 1 channels: 1 height: 1 width: 2 data: 3 data: 4 } }
                 bottom: "x" top: "a" }
        layers { layer { name: "pool" type: "pool" pool: AVE kernelsize: 3 stride: 2 pad: 1 }
                 bottom: "a" top: "b" }
        layers { layer { name: "ip" type: "innerproduct" num_output: 3 biasterm: true
                 weight_filler { std: 2 } bias_filler { value: 3 } } bottom: "b" top: "c" }
        layers { layer { name: "lrn" type: "lrn" local_size: 3 alpha: 2 beta: 4 k: 5 } }
        layers { layer { name: "drop" type: "dropout" dropout_ratio: 0.25 } }
        layers { layer { name: "concat" type: "concat" concat_dim: 0 } }
        layers { layer { name: "data" type: "data" source: "s" batchsize: 3 scale: 0.5
                 meanfile: "m" cropsize: 4 mirror: true rand_skip: 9 } top: "d" }
        layers { layer { name: "images" type: "images" source: "s" batchsize: 3 rand_skip: 9
                 shuffle_images: true new_height: 5 new_width: 6 } top: "e" top: "f" }
        layers { layer { name: "h5" type: "hdf5_data" source: "s" batchsize: 3 } }
        layers { layer { name: "out" type: "hdf5_output" hdf5_output_param { file_name: "o" } } }
        layers { layer { name: "win" type: "window_data" source: "s" batchsize: 3 cropsize: 4
                 det_fg_threshold: 0.125 det_bg_threshold: 0.25 det_fg_fraction: 0.375
                 det_context_pad: 3 det_crop_mode: "square" } }
        layers { layer { name: "info" type: "infogain_loss" source: "s" } }
        layers { layer { name: "accuracy" type: "accuracy" } }
        layers { layer { name: "bnll" type: "bnll" } }
        layers { layer { name: "euclidean_loss" type: "euclidean_loss" } }
        layers { layer { name: "flatten" type: "flatten" } }
        layers { layer { name: "im2col" type: "im2col" } }
        layers { layer { name: "mll" type: "multinomial_logistic_loss" } }
        layers { layer { name: "relu" type: "relu" } }
        layers { layer { name: "sigmoid" type: "sigmoid" } }
        layers { layer { name: "softmax" type: "softmax" } }
        layers { layer { name: "softmax_loss" type: "softmax_loss" } }
        layers { layer { name: "split" type: "split" } }
        layers { layer { name: "tanh" type: "tanh" } }""",
    "v0 fields of other types": """
        layers { layer { name: "r" type: "relu" scale: 3 mirror: true pad: 3 source: "s" pool: AVE
                 num_output: 3 k: 2 batchsize: 1 rand_skip: 1 new_num: 3 concat_dim: 2
                 det_crop_mode: "x" hdf5_output_param { file_name: "o" } } }
        layers { layer { name: "i" type: "innerproduct" pad: 0 group: 1 kernelsize: 2 } }
        layers { layer { name: "c" type: "conv" dropout_ratio: 0.3 shuffle_images: true } }""",
    "v0 what stands beside the nested layer": """
        state { level: 3 } debug_info: true input: "x"
        layers { layer { name: "r" type: "relu" } name: "outer" bottom: "x" top: "y"
                 include { phase: TEST } param: "shared" blobs_lr: 3 loss_weight: 2
                 relu_param { negative_slope: 1 } }""",
    "v0 input_shape": """
        input: "x" input_shape { dim: 2 dim: 3 }
        layers { layer { name: "r" type: "relu" } bottom: "x" top: "y" }""",
    "v0 padding": """
        input: "x" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8
        layers { layer { name: "p1" type: "padding" pad: 2 } bottom: "x" top: "xp" }
        layers { layer { name: "c" type: "conv" num_output: 3 kernelsize: 3 pad: 7 }
                 bottom: "xp" top: "c" }
        layers { layer { name: "p2" type: "padding" pad: 1 } bottom: "c" top: "cp" }
        layers { layer { name: "m" type: "pool" kernelsize: 3 } bottom: "cp" top: "m" }
        layers { layer { name: "r" type: "relu" } bottom: "m" top: "m" }""",
    "v0 padding before relu": """
        input: "x" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8
        layers { layer { name: "p1" type: "padding" pad: 2 } bottom: "x" top: "xp" }
        layers { layer { name: "r" type: "relu" } bottom: "xp" top: "y" }""",
    "v0 unknown bottom": 'layers { layer { name: "r" type: "relu" } bottom: "x" top: "y" }',
    "v0 unknown type": 'layers { layer { name: "r" type: "prelu" } }',
    "v0 and v1 mixed": """
        layers { layer { name: "r" type: "relu" } } layers { name: "s" type: TANH }""",
    "v0 and v2 mixed": """
        layers { layer { name: "r" type: "relu" } } layer { name: "s" type: "TanH" }""",
    "v1 and v2 mixed": 'layers { name: "r" type: RELU } layer { name: "s" type: "TanH" }',
    "v1 every type": "name: 'types' debug_info: true state { level: 2 }"
    + "".join(
        f"layers {{ name: '{name}' type: {name} }}"
        for name in """NONE ABSVAL ACCURACY ARGMAX BNLL CONCAT CONTRASTIVE_LOSS CONVOLUTION DATA
        DECONVOLUTION DROPOUT DUMMY_DATA EUCLIDEAN_LOSS ELTWISE EXP FLATTEN HDF5_DATA HDF5_OUTPUT
        HINGE_LOSS IM2COL IMAGE_DATA INFOGAIN_LOSS INNER_PRODUCT LRN MEMORY_DATA
        MULTINOMIAL_LOGISTIC_LOSS MVN POOLING POWER RELU SIGMOID SIGMOID_CROSS_ENTROPY_LOSS SILENCE
        SOFTMAX SOFTMAX_LOSS SPLIT SLICE TANH WINDOW_DATA THRESHOLD""".split()
    )
    + 'layers { name: "without a type" }',
    "v1 every field": """
        layers { name: "l" type: DUMMY_DATA bottom: "x" bottom: "w" top: "y" top: "z"
            blobs { num: 1 channels: 1 height: 1 width: 1 data: 3 } blobs { shape { dim: 1 } }
            blobs_lr: 1 blobs_lr: 2 blobs_lr: 3 weight_decay: 4 param: "p" param: "q"
            blob_share_mode: PERMISSIVE loss_weight: 2 loss_weight: 0
            include { phase: TRAIN min_level: 1 stage: "s" } exclude { not_stage: "t" }
            transform_param { scale: 2 mean_value: 3 } loss_param { ignore_label: 255 }
            accuracy_param { top_k: 5 } argmax_param { top_k: 2 } concat_param { concat_dim: 2 }
            contrastive_loss_param { margin: 2 } convolution_param { num_output: 3 pad: 1 }
            data_param { source: "a" } dropout_param { dropout_ratio: 0.25 }
            dummy_data_param { num: 1 } eltwise_param { operation: MAX } exp_param { base: 2 }
            hdf5_data_param { source: "b" } hdf5_output_param { file_name: "c" }
            hinge_loss_param { norm: L2 } image_data_param { source: "d" }
            infogain_loss_param { source: "e" } inner_product_param { num_output: 2 }
            lrn_param { k: 2 } memory_data_param { width: 3 } mvn_param { eps: 1 }
            pooling_param { pool: AVE } power_param { power: 2 }
            relu_param { negative_slope: 0.5 } sigmoid_param { engine: CAFFE }
            softmax_param { axis: 2 } slice_param { slice_point: 3 } tanh_param { engine: CAFFE }
            threshold_param { threshold: 3 } window_data_param { source: "f" } }""",
    "v1 transformations": """
        layers { name: "d" type: DATA
            data_param { source: "s" scale: 2 mean_file: "m" crop_size: 3 mirror: true } }
        layers { name: "i" type: IMAGE_DATA transform_param { scale: 5 mirror: true }
            image_data_param { scale: 2 mean_file: "m" crop_size: 3 mirror: false } }
        layers { name: "w" type: WINDOW_DATA window_data_param { scale: 2 crop_size: 3 } }
        layers { name: "v" type: IMAGE_DATA data_param { scale: 2 } }
        layers { name: "e" type: DATA }""",
    "v2 transformations": """
        layer { name: "d" type: "Data" data_param { scale: 2 crop_size: 3 mirror: true } }""",
    "input_dim": """
        input: "x" input_dim: 1 input_dim: 2 input_dim: 3 input_dim: 4
        input: "y" input_dim: 5 input_dim: 6 input_dim: 7 input_dim: 8
        layer { name: "a" type: "Split" bottom: "x" top: "z" }""",
    "input_shape": """
        input: "x" input: "y" input_shape { dim: 1 } input_shape { dim: 2 dim: 3 dim: 4 dim: 5 }
        input_dim: 9 layer { name: "a" type: "Split" bottom: "x" top: "z" }""",
    "input without shape": 'input: "x" layer { name: "a" type: "Split" bottom: "x" top: "z" }',
    "input_dim without input": 'input_dim: 3 layer { name: "a" type: "Split" }',
    "batch norm": """
        layer { name: "three" type: "BatchNorm" param { lr_mult: 1 decay_mult: 2 } param { }
                param { name: "n" lr_mult: 3 } }
        layer { name: "two" type: "BatchNorm" param { lr_mult: 1 } param { lr_mult: 1 } }
        layer { name: "none" type: "BatchNorm" }
        layer { name: "other" type: "Scale" param { } param { } param { lr_mult: 2 } }""",
}

SOLVER_CASES = {
    "no type": 'net: "n" base_lr: 0.5',
    "type": 'net: "n" type: "Adam"',
    "type and solver_type": 'type: "Adam" solver_type: ADAM',
    "unset prefix": "solver_mode: CPU",
    "set prefix": 'snapshot_prefix: "a/b"',
    "directory as prefix": 'snapshot_prefix: "folder"',
    "directory with slash as prefix": 'snapshot_prefix: "folder/"',
    "inline net": 'net_param { input: "x" input_dim: 1 layers { name: "r" type: RELU } }',
}
for _type in ("SGD", "NESTEROV", "ADAGRAD", "RMSPROP", "ADADELTA", "ADAM"):
    SOLVER_CASES[_type] = "solver_type: " + _type

# The name under which a case is read; the default of snapshot_prefix comes from it.
NAMES = {"net": "old.net.prototxt", "solver": "sub/my.solver.prototxt"}

# Mangled names: constructor(Arena*), reader(string, message*).
SYMBOLS = {
    "net": (
        "_ZN5caffe12NetParameterC1EPN6google8protobuf5ArenaE",
        "_ZN5caffe30ReadNetParamsFromTextFileOrDieERKNSt7__cxx1112basic_string"
        "IcSt11char_traitsIcESaIcEEEPNS_12NetParameterE",
    ),
    "solver": (
        "_ZN5caffe15SolverParameterC1EPN6google8protobuf5ArenaE",
        "_ZN5caffe33ReadSolverParamsFromTextFileOrDieERKNSt7__cxx1112basic_string"
        "IcSt11char_traitsIcESaIcEEEPNS_15SolverParameterE",
    ),
}
WRITER = "_ZN5caffe20WriteProtoToTextFileERKN6google8protobuf7MessageEPKc"


class StdString(ctypes.Structure):
    """std::string of the C++11 ABI, pointing at a buffer of ours."""

    _fields_ = [
        ("data", ctypes.c_void_p),
        ("size", ctypes.c_size_t),
        ("capacity", ctypes.c_size_t),
        ("unused", ctypes.c_size_t),
    ]


def upgrade(kind, source, target):
    """Reads and upgrades the file ``source`` by the library; writes the result as text."""
    library = ctypes.CDLL("libcaffe.so.1.0.0", mode=ctypes.RTLD_GLOBAL)
    constructor, reader = SYMBOLS[kind]
    message = ctypes.create_string_buffer(1 << 14)
    library[constructor](message, None)
    name = ctypes.create_string_buffer(source.encode())
    string = StdString(ctypes.addressof(name), len(source), len(source), 0)
    library[reader](ctypes.byref(string), message)
    library[WRITER](message, target.encode())


def main():
    if len(sys.argv) > 1:
        return upgrade(*sys.argv[1:])
    import caffe

    if hasattr(caffe, "__engine__"):
        raise SystemExit("this is not BVLC Caffe")
    script = os.path.abspath(__file__)
    out = {"engine": "BVLC Caffe " + caffe.__version__}
    for kind, cases in (("net", NET_CASES), ("solver", SOLVER_CASES)):
        for name, text in cases.items():
            with tempfile.TemporaryDirectory() as folder:
                os.makedirs(os.path.join(folder, "sub"))
                os.makedirs(os.path.join(folder, "folder"))
                with open(os.path.join(folder, NAMES[kind]), "w") as f:
                    f.write(text)
                done = subprocess.run(
                    [sys.executable, script, kind, NAMES[kind], "out.txt"],
                    cwd=folder,
                    capture_output=True,
                )
                if done.returncode == 0:
                    with open(os.path.join(folder, "out.txt")) as f:
                        result = {"text": f.read()}
                else:
                    fatal = [s for s in done.stderr.decode().split("\n") if s.startswith("F")]
                    result = {"aborts": fatal[0].split("] ", 1)[1] if fatal else "crash"}
                out[kind + ": " + name] = result
    with open("upgrade.json", "w") as f:
        json.dump(out, f, indent=1, sort_keys=True)
        f.write("\n")


if __name__ == "__main__":
    main()
