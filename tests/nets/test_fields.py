"""The VOC nets and solvers, field by field, against tables taken from the published files."""

from fcn_helpers import read_net, read_text
from field_tables import ALEXNET_TRUNK, VGG_TRUNK, line, lines

from caffe.proto import caffe_pb2

HEADS = {
    "voc-fcn32s": """
score_fr Convolution fc7 > score_fr | 1/1 2/0 | num_output 21 pad 0 kernel_size 1
upscore Deconvolution score_fr > upscore | 0/- | num_output 21 bias_term 0 kernel_size 64 stride 32
score Crop upscore data > score | | axis 2 offset 19
loss SoftmaxWithLoss score label > loss | | ignore_label 255 normalize 0
""",
    "voc-fcn16s": """
score_fr Convolution fc7 > score_fr | 1/1 2/0 | num_output 21 pad 0 kernel_size 1
upscore2 Deconvolution score_fr > upscore2 | 0/- | num_output 21 bias_term 0 kernel_size 4 stride 2
score_pool4 Convolution pool4 > score_pool4 | 1/1 2/0 | num_output 21 pad 0 kernel_size 1
score_pool4c Crop score_pool4 upscore2 > score_pool4c | | axis 2 offset 5
fuse_pool4 Eltwise upscore2 score_pool4c > fuse_pool4 | | operation SUM
upscore16 Deconvolution fuse_pool4 > upscore16 | 0/- | num_output 21 bias_term 0
    kernel_size 32 stride 16
score Crop upscore16 data > score | | axis 2 offset 27
loss SoftmaxWithLoss score label > loss | | ignore_label 255 normalize 0
""",
    "voc-fcn8s": """
score_fr Convolution fc7 > score_fr | 1/1 2/0 | num_output 21 pad 0 kernel_size 1
upscore2 Deconvolution score_fr > upscore2 | 0/- | num_output 21 bias_term 0 kernel_size 4 stride 2
score_pool4 Convolution pool4 > score_pool4 | 1/1 2/0 | num_output 21 pad 0 kernel_size 1
score_pool4c Crop score_pool4 upscore2 > score_pool4c | | axis 2 offset 5
fuse_pool4 Eltwise upscore2 score_pool4c > fuse_pool4 | | operation SUM
upscore_pool4 Deconvolution fuse_pool4 > upscore_pool4 | 0/- | num_output 21 bias_term 0
    kernel_size 4 stride 2
score_pool3 Convolution pool3 > score_pool3 | 1/1 2/0 | num_output 21 pad 0 kernel_size 1
score_pool3c Crop score_pool3 upscore_pool4 > score_pool3c | | axis 2 offset 9
fuse_pool3 Eltwise upscore_pool4 score_pool3c > fuse_pool3 | | operation SUM
upscore8 Deconvolution fuse_pool3 > upscore8 | 0/- | num_output 21 bias_term 0
    kernel_size 16 stride 8
score Crop upscore8 data > score | | axis 2 offset 31
loss SoftmaxWithLoss score label > loss | | ignore_label 255 normalize 0
""",
    "voc-fcn8s-atonce": """
score_fr Convolution fc7 > score_fr | 1/1 2/0 | num_output 21 pad 0 kernel_size 1
upscore2 Deconvolution score_fr > upscore2 | 0/- | num_output 21 bias_term 0 kernel_size 4 stride 2
scale_pool4 Scale pool4 > scale_pool4 | 0/- | filler { type constant value 0.01 }
score_pool4 Convolution scale_pool4 > score_pool4 | 1/1 2/0 | num_output 21 pad 0 kernel_size 1
score_pool4c Crop score_pool4 upscore2 > score_pool4c | | axis 2 offset 5
fuse_pool4 Eltwise upscore2 score_pool4c > fuse_pool4 | | operation SUM
upscore_pool4 Deconvolution fuse_pool4 > upscore_pool4 | 0/- | num_output 21 bias_term 0
    kernel_size 4 stride 2
scale_pool3 Scale pool3 > scale_pool3 | 0/- | filler { type constant value 0.0001 }
score_pool3 Convolution scale_pool3 > score_pool3 | 1/1 2/0 | num_output 21 pad 0 kernel_size 1
score_pool3c Crop score_pool3 upscore_pool4 > score_pool3c | | axis 2 offset 9
fuse_pool3 Eltwise upscore_pool4 score_pool3c > fuse_pool3 | | operation SUM
upscore8 Deconvolution fuse_pool3 > upscore8 | 0/- | num_output 21 bias_term 0
    kernel_size 16 stride 8
score Crop upscore8 data > score | | axis 2 offset 31
loss SoftmaxWithLoss score label > loss | | ignore_label 255 normalize 0
""",
    "voc-fcn-alexnet": """
score_fr Convolution fc7 > score_fr | 1/1 2/0 | num_output 21 pad 0 kernel_size 1
upscore Deconvolution score_fr > upscore | 0/- | num_output 21 bias_term 0 kernel_size 63 stride 32
score Crop upscore data > score | | axis 2 offset 18
loss SoftmaxWithLoss score label > loss | | ignore_label 255 normalize 1
""",
}

COUNTS = {
    "voc-fcn32s": 42,
    "voc-fcn16s": 46,
    "voc-fcn8s": 50,
    "voc-fcn8s-atonce": 52,
    "voc-fcn-alexnet": 26,
}

DATA = {
    "train": "data Python  > data label | | module voc_layers layer SBDDSegDataLayer param_str "
    "{'sbdd_dir': 'data/sbdd/dataset', 'seed': 1337, 'split': 'train', "
    "'mean': (104.00699, 116.66877, 122.67892)}",
    "val": "data Python  > data label | | module voc_layers layer VOCSegDataLayer param_str "
    "{'voc_dir': 'data/pascal/VOC2011', 'seed': 1337, 'split': 'seg11valid', "
    "'mean': (104.00699, 116.66877, 122.67892)}",
    "deploy": "input Input  > data | | shape { dim 1 dim 3 dim 500 dim 500 }",
}


def expected(experiment, phase):
    trunk = lines(ALEXNET_TRUNK if "alexnet" in experiment else VGG_TRUNK)
    layers = lines(DATA[phase]) + trunk + lines(HEADS[experiment])
    if phase == "deploy":
        layers = [one for one in layers if one.split()[1] not in ("Dropout", "SoftmaxWithLoss")]
    return layers


def test_voc_nets_field_by_field():
    for experiment in HEADS:
        for phase in DATA:
            net = read_net(experiment, phase)
            got = [" ".join(line(layer).split()) for layer in net.layer]
            assert got == expected(experiment, phase), (experiment, phase)
            assert [f.name for f, _ in net.ListFields()] == ["layer"], (experiment, phase)


def test_layer_counts():
    for experiment, count in COUNTS.items():
        for phase in ("train", "val"):
            assert len(read_net(experiment, phase).layer) == count, experiment
    assert len(read_net("voc-fcn8s", "deploy").layer) == 47


# name: base_lr, momentum, iter_size, max_iter
SOLVERS = {
    "voc-fcn32s": ("1e-10", "0.99", 1, 100000),
    "voc-fcn16s": ("1e-12", "0.99", 1, 100000),
    "voc-fcn8s": ("1e-14", "0.99", 1, 100000),
    "voc-fcn8s-atonce": ("1e-10", "0.99", 1, 300000),
    "voc-fcn-alexnet": ("0.0001", "0.9", 20, 100000),
}


def test_voc_solvers_field_by_field():
    for name, (base_lr, momentum, iter_size, max_iter) in SOLVERS.items():
        solver = read_text(caffe_pb2.SolverParameter(), "solvers", name + ".prototxt")
        got = {f.name: f"{v:.7g}" if isinstance(v, float) else v for f, v in solver.ListFields()}
        got["test_net"], got["test_iter"] = list(got["test_net"]), list(got["test_iter"])
        assert got == {
            "train_net": f"nets/{name}/train.prototxt",
            "test_net": [f"nets/{name}/val.prototxt"],
            "test_iter": [736],
            "test_interval": 999999999,
            "display": 20,
            "average_loss": 20,
            "lr_policy": "fixed",
            "base_lr": base_lr,
            "momentum": momentum,
            "iter_size": iter_size,
            "max_iter": max_iter,
            "weight_decay": "0.0005",
            "snapshot": 4000,
            "snapshot_prefix": f"out/{name}/train",
            "test_initialization": False,
        }, name


def test_the_table_can_fail():
    net = read_net("voc-fcn8s", "train")
    net.layer[1].convolution_param.bias_filler.type = "constant"
    net.layer[5].include.add().phase = 1
    got = [" ".join(line(layer).split()) for layer in net.layer]
    differing = [i for i, (a, b) in enumerate(zip(got, expected("voc-fcn8s", "train"))) if a != b]
    assert differing == [1, 5]
