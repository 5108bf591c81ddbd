"""The PASCAL-Context, SIFT Flow and NYUDv2 nets and solvers, field by field, as published."""

from fcn_helpers import read_net, read_text
from field_tables import VGG_TRUNK, line, lines

from caffe.proto import caffe_pb2
from fcn import catalog
from fcn.geometry import facts

#: Of an output with the suffix {s} and {n} classes, by stride; after the trunk.
HEAD_32 = """
score_fr{s} Convolution fc7 > score_fr{s} | 1/1 2/0 | num_output {n} pad 0 kernel_size 1
upscore{s} Deconvolution score_fr{s} > upscore{s} | 0/- | num_output {n} bias_term 0
    kernel_size 64 stride 32
score{s} Crop upscore{s} {image} > score{s} | | axis 2 offset 19
{loss} SoftmaxWithLoss score{s} {label} > {loss} | | ignore_label 255 normalize 0
"""
_FINER = """
score_fr{s} Convolution fc7 > score_fr{s} | 1/1 2/0 | num_output {n} pad 0 kernel_size 1
upscore2{s} Deconvolution score_fr{s} > upscore2{s} | 0/- | num_output {n} bias_term 0
    kernel_size 4 stride 2
score_pool4{s} Convolution pool4 > score_pool4{s} | 1/1 2/0 | num_output {n} pad 0 kernel_size 1
score_pool4{s}c Crop score_pool4{s} upscore2{s} > score_pool4{s}c | | axis 2 offset 5
fuse_pool4{s} Eltwise upscore2{s} score_pool4{s}c > fuse_pool4{s} | | operation SUM
"""
HEAD_16 = (
    _FINER.rstrip()
    + """
upscore16{s} Deconvolution fuse_pool4{s} > upscore16{s} | 0/- | num_output {n} bias_term 0
    kernel_size 32 stride 16
score{s} Crop upscore16{s} {image} > score{s} | | axis 2 offset 27
{loss} SoftmaxWithLoss score{s} {label} > {loss} | | ignore_label 255 normalize 0
"""
)
HEAD_8 = (
    _FINER.rstrip()
    + """
upscore_pool4{s} Deconvolution fuse_pool4{s} > upscore_pool4{s} | 0/- | num_output {n} bias_term 0
    kernel_size 4 stride 2
score_pool3{s} Convolution pool3 > score_pool3{s} | 1/1 2/0 | num_output {n} pad 0 kernel_size 1
score_pool3{s}c Crop score_pool3{s} upscore_pool4{s} > score_pool3{s}c | | axis 2 offset 9
fuse_pool3{s} Eltwise upscore_pool4{s} score_pool3{s}c > fuse_pool3{s} | | operation SUM
upscore8{s} Deconvolution fuse_pool3{s} > upscore8{s} | 0/- | num_output {n} bias_term 0
    kernel_size 16 stride 8
score{s} Crop upscore8{s} {image} > score{s} | | axis 2 offset 31
{loss} SoftmaxWithLoss score{s} {label} > {loss} | | ignore_label 255 normalize 0
"""
)
FUSED = """
score_fused Eltwise score_frcolor score_frhha > score_fused | | operation SUM coeff 0.5 coeff 0.5
upscore Deconvolution score_fused > upscore | 0/- | num_output 40 bias_term 0
    kernel_size 64 stride 32
score Crop upscore color > score | | axis 2 offset 19
loss SoftmaxWithLoss score label > loss | | ignore_label 255 normalize 0
"""
HEADS = {"32": HEAD_32, "16": HEAD_16, "8": HEAD_8}


def head(stride, classes, suffix="", label="label", loss="loss"):
    return lines(HEADS[stride].format(s=suffix, n=classes, image="data", label=label, loss=loss))


def context(stride, split):
    data = (
        "data Python > data label | | module pascalcontext_layers layer "
        "PASCALContextSegDataLayer param_str {'context_dir': 'data/pascal-context', "
        f"'seed': 1337, 'split': '{split}', 'voc_dir': 'data/pascal'}}"
    )
    return [data] + lines(VGG_TRUNK) + head(stride, 60)


def siftflow(stride, split):
    data = (
        "data Python > data sem geo | | module siftflow_layers layer SIFTFlowSegDataLayer "
        f"param_str {{'siftflow_dir': 'data/sift-flow', 'seed': 1337, 'split': '{split}'}}"
    )
    return (
        [data]
        + lines(VGG_TRUNK)
        + head(stride, 33, "_sem", "sem")
        + head(stride, 3, "_geo", "geo", "loss_geo")
    )


def nyud_data(split, *modalities):
    first = modalities[0] if len(modalities) > 1 else "data"
    tops = " ".join(modalities) if len(modalities) > 1 else "data"
    return (
        f"{first} Python > {tops} label | | module nyud_layers layer NYUDSegDataLayer "
        f"param_str {{'tops': {[*modalities, 'label']}, 'seed': 1337, "
        f"'nyud_dir': 'data/nyud', 'split': '{split}'}}"
    )


def nyud(modality, split):
    return [nyud_data(split, modality)] + lines(VGG_TRUNK) + head("32", 40)


def color_d(split):
    """The trunk's first convolution has another name; its ReLU has not."""
    trunk = [one.replace("conv1_1 ", "conv1_1_bgrd ") for one in lines(VGG_TRUNK)]
    return [
        nyud_data(split, "color", "depth"),
        "data Concat color depth > data | |",
        *trunk,
        *head("32", 40),
    ]


def color_hha(split):
    """Two trunks whose layers and blobs end in the modality, which is also what they read."""
    layers = [nyud_data(split, "color", "hha")]
    for modality in ("color", "hha"):
        for one in lines(VGG_TRUNK) + head("32", 40)[:1]:
            names, rest = one.split("|", 1)
            words = [
                word
                if word in (">", "Convolution", "ReLU", "Pooling", "Dropout")
                else modality
                if word == "data"
                else word + modality
                for word in names.split()
            ]
            layers.append(" ".join(words) + " |" + rest)
    return layers + lines(FUSED)


#: experiment → (its lines for a split, the number of layers, all parameters with frozen ones).
NETS = {
    "pascalcontext-fcn32s": (lambda split: context("32", split), 42, 149251964),
    "pascalcontext-fcn16s": (lambda split: context("16", split), 46, 138281144),
    "pascalcontext-fcn8s": (lambda split: context("8", split), 50, 135589364),
    "siftflow-fcn32s": (lambda split: siftflow("32", split), 46, 138905444),
    "siftflow-fcn16s": (lambda split: siftflow("16", split), 54, 135568424),
    "siftflow-fcn8s": (lambda split: siftflow("8", split), 62, 134751980),
    "nyud-fcn32s-color": (lambda split: nyud("color", split), 42, 140978024),
    "nyud-fcn32s-hha": (lambda split: nyud("hha", split), 42, 140978024),
    "nyud-fcn32s-color-d": (color_d, 43, 140978600),
    "nyud-fcn32s-color-hha": (color_hha, 81, 275402448),
}


def splits(name):
    return ("train", "val") if name.startswith("pascalcontext") else ("trainval", "test")


def test_nets_field_by_field():
    for name, (expected, count, _) in NETS.items():
        for phase, split in zip(("train", "val"), splits(name)):
            assert catalog.net_path(name, phase) == f"nets/{name}/{split}.prototxt"
            net = read_net(name, phase)
            got = [" ".join(line(layer).split()) for layer in net.layer]
            assert got == [" ".join(one.split()) for one in expected(split)], (name, phase)
            assert [f.name for f, _ in net.ListFields()] == ["layer"], (name, phase)
            assert len(net.layer) == count, name


def test_numbers_of_parameters():
    for name, (_, _, total) in NETS.items():
        rows = facts.walk(read_net(name, "deploy"))
        assert sum(row.params for row in rows) == total, name


# name: test_iter, base_lr, snapshot (None: the fields are absent)
SOLVERS = {
    "pascalcontext-fcn32s": (5105, "1e-10", 4000),
    "pascalcontext-fcn16s": (5105, "1e-12", 4000),
    "pascalcontext-fcn8s": (5105, "1e-14", 4000),
    "siftflow-fcn32s": (200, "1e-10", None),
    "siftflow-fcn16s": (200, "1e-12", None),
    "siftflow-fcn8s": (200, "1e-12", None),
    "nyud-fcn32s-color": (654, "1e-10", 2000),
    "nyud-fcn32s-hha": (654, "1e-10", 2000),
    "nyud-fcn32s-color-d": (654, "1e-10", 2000),
    "nyud-fcn32s-color-hha": (654, "1e-12", 2000),
}

#: Steps in all, and between scorings, of the published solve.py.
LOOPS = {"pascalcontext": (400000, 8000), "siftflow": (100000, 2000), "nyud": (100000, 2000)}


def test_solvers_field_by_field():
    for name, (test_iter, base_lr, snapshot) in SOLVERS.items():
        solver = read_text(caffe_pb2.SolverParameter(), "solvers", name + ".prototxt")
        got = {f.name: f"{v:.7g}" if isinstance(v, float) else v for f, v in solver.ListFields()}
        got["test_net"], got["test_iter"] = list(got["test_net"]), list(got["test_iter"])
        train, val = splits(name)
        expected = {
            "train_net": f"nets/{name}/{train}.prototxt",
            "test_net": [f"nets/{name}/{val}.prototxt"],
            "test_iter": [test_iter],
            "test_interval": 999999999,
            "display": 20,
            "average_loss": 20,
            "lr_policy": "fixed",
            "base_lr": base_lr,
            "momentum": "0.99",
            "iter_size": 1,
            "max_iter": 300000,
            "weight_decay": "0.0005",
            "test_initialization": False,
        }
        if snapshot:
            expected.update(snapshot=snapshot, snapshot_prefix=f"out/{name}/train")
        assert got == expected, name
        schedule = catalog.EXPERIMENTS[name].schedule
        assert (schedule.steps, schedule.score_every) == LOOPS[name.split("-")[0]], name
