"""The VOC nets and solvers, field by field, against tables taken from the published files."""

from fcn_helpers import read_net, read_text

from caffe.proto import caffe_pb2

# One line a layer: name, type, bottoms, ">", tops, "|", lr_mult/decay_mult of each param entry
# ("-" for a field that is absent), "|", every other field, submessages in braces.
VGG_TRUNK = """
conv1_1 Convolution data > conv1_1 | 1/1 2/0 | num_output 64 pad 100 kernel_size 3 stride 1
relu1_1 ReLU conv1_1 > conv1_1 | |
conv1_2 Convolution conv1_1 > conv1_2 | 1/1 2/0 | num_output 64 pad 1 kernel_size 3 stride 1
relu1_2 ReLU conv1_2 > conv1_2 | |
pool1 Pooling conv1_2 > pool1 | | pool MAX kernel_size 2 stride 2
conv2_1 Convolution pool1 > conv2_1 | 1/1 2/0 | num_output 128 pad 1 kernel_size 3 stride 1
relu2_1 ReLU conv2_1 > conv2_1 | |
conv2_2 Convolution conv2_1 > conv2_2 | 1/1 2/0 | num_output 128 pad 1 kernel_size 3 stride 1
relu2_2 ReLU conv2_2 > conv2_2 | |
pool2 Pooling conv2_2 > pool2 | | pool MAX kernel_size 2 stride 2
conv3_1 Convolution pool2 > conv3_1 | 1/1 2/0 | num_output 256 pad 1 kernel_size 3 stride 1
relu3_1 ReLU conv3_1 > conv3_1 | |
conv3_2 Convolution conv3_1 > conv3_2 | 1/1 2/0 | num_output 256 pad 1 kernel_size 3 stride 1
relu3_2 ReLU conv3_2 > conv3_2 | |
conv3_3 Convolution conv3_2 > conv3_3 | 1/1 2/0 | num_output 256 pad 1 kernel_size 3 stride 1
relu3_3 ReLU conv3_3 > conv3_3 | |
pool3 Pooling conv3_3 > pool3 | | pool MAX kernel_size 2 stride 2
conv4_1 Convolution pool3 > conv4_1 | 1/1 2/0 | num_output 512 pad 1 kernel_size 3 stride 1
relu4_1 ReLU conv4_1 > conv4_1 | |
conv4_2 Convolution conv4_1 > conv4_2 | 1/1 2/0 | num_output 512 pad 1 kernel_size 3 stride 1
relu4_2 ReLU conv4_2 > conv4_2 | |
conv4_3 Convolution conv4_2 > conv4_3 | 1/1 2/0 | num_output 512 pad 1 kernel_size 3 stride 1
relu4_3 ReLU conv4_3 > conv4_3 | |
pool4 Pooling conv4_3 > pool4 | | pool MAX kernel_size 2 stride 2
conv5_1 Convolution pool4 > conv5_1 | 1/1 2/0 | num_output 512 pad 1 kernel_size 3 stride 1
relu5_1 ReLU conv5_1 > conv5_1 | |
conv5_2 Convolution conv5_1 > conv5_2 | 1/1 2/0 | num_output 512 pad 1 kernel_size 3 stride 1
relu5_2 ReLU conv5_2 > conv5_2 | |
conv5_3 Convolution conv5_2 > conv5_3 | 1/1 2/0 | num_output 512 pad 1 kernel_size 3 stride 1
relu5_3 ReLU conv5_3 > conv5_3 | |
pool5 Pooling conv5_3 > pool5 | | pool MAX kernel_size 2 stride 2
fc6 Convolution pool5 > fc6 | 1/1 2/0 | num_output 4096 pad 0 kernel_size 7 stride 1
relu6 ReLU fc6 > fc6 | |
drop6 Dropout fc6 > fc6 | | dropout_ratio 0.5
fc7 Convolution fc6 > fc7 | 1/1 2/0 | num_output 4096 pad 0 kernel_size 1 stride 1
relu7 ReLU fc7 > fc7 | |
drop7 Dropout fc7 > fc7 | | dropout_ratio 0.5
"""

ALEXNET_TRUNK = """
conv1 Convolution data > conv1 | | num_output 96 pad 100 kernel_size 11 group 1 stride 4
relu1 ReLU conv1 > conv1 | |
pool1 Pooling conv1 > pool1 | | pool MAX kernel_size 3 stride 2
norm1 LRN pool1 > norm1 | | local_size 5 alpha 0.0001 beta 0.75
conv2 Convolution norm1 > conv2 | | num_output 256 pad 2 kernel_size 5 group 2 stride 1
relu2 ReLU conv2 > conv2 | |
pool2 Pooling conv2 > pool2 | | pool MAX kernel_size 3 stride 2
norm2 LRN pool2 > norm2 | | local_size 5 alpha 0.0001 beta 0.75
conv3 Convolution norm2 > conv3 | | num_output 384 pad 1 kernel_size 3 group 1 stride 1
relu3 ReLU conv3 > conv3 | |
conv4 Convolution conv3 > conv4 | | num_output 384 pad 1 kernel_size 3 group 2 stride 1
relu4 ReLU conv4 > conv4 | |
conv5 Convolution conv4 > conv5 | | num_output 256 pad 1 kernel_size 3 group 2 stride 1
relu5 ReLU conv5 > conv5 | |
pool5 Pooling conv5 > pool5 | | pool MAX kernel_size 3 stride 2
fc6 Convolution pool5 > fc6 | | num_output 4096 pad 0 kernel_size 6 group 1 stride 1
relu6 ReLU fc6 > fc6 | |
drop6 Dropout fc6 > fc6 | | dropout_ratio 0.5
fc7 Convolution fc6 > fc7 | | num_output 4096 pad 0 kernel_size 1 group 1 stride 1
relu7 ReLU fc7 > fc7 | |
drop7 Dropout fc7 > fc7 | | dropout_ratio 0.5
"""

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


def fields(message):
    """Every field that is set, "name value" in the order of emission."""
    words = []
    for field, value in message.ListFields():
        repeated = hasattr(value, "__len__") and not isinstance(value, str)
        for item in value if repeated else [value]:
            if hasattr(item, "ListFields"):
                words.append(f"{field.name} {{ {fields(item)} }}")
            elif field.enum_type is not None:
                words.append(f"{field.name} {field.enum_type.values_by_number[item].name}")
            elif isinstance(item, float):
                words.append(f"{field.name} {item:.7g}")
            else:
                words.append(f"{field.name} {int(item) if item in (0, 1) else item}")
    return " ".join(words)


def line(layer):
    """One layer as a line of the tables; what they have no place for is put at the end, to fail."""
    rates = [
        "/".join(
            f"{getattr(p, f):g}" if p.HasField(f) else "-" for f in ("lr_mult", "decay_mult")
        )
        for p in layer.param
    ]
    known = ("name", "type", "bottom", "top", "param")
    own = [(f, v) for f, v in layer.ListFields() if f.name not in known]
    expected = {
        "Python": "python_param",
        "Input": "input_param",
        "Convolution": "convolution_param",
        "Deconvolution": "convolution_param",
        "Pooling": "pooling_param",
        "Dropout": "dropout_param",
        "LRN": "lrn_param",
        "Crop": "crop_param",
        "Eltwise": "eltwise_param",
        "Scale": "scale_param",
        "SoftmaxWithLoss": "loss_param",
        "ReLU": None,
    }[layer.type]
    rest = " ".join(
        fields(v) if f.name == expected else f"UNEXPECTED {f.name}" for f, v in own
    )
    return "{} {} {} > {} | {} | {}".format(
        layer.name,
        layer.type,
        " ".join(layer.bottom),
        " ".join(layer.top),
        " ".join(rates),
        rest,
    )


def lines(text):
    """The table's lines; what is indented goes on with the line before."""
    return [" ".join(one.split()) for one in text.replace("\n  ", " ").strip().splitlines()]


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
        got = {
            f.name: f"{v:.7g}" if isinstance(v, float) else v for f, v in solver.ListFields()
        }
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
