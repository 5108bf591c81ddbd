"""GoogLeNet (Szegedy et al. 2015): nine inception modules; two more classifiers in training."""

from caffe import layers as L
from caffe import params as P
from nets.backbones import LEARNED
from nets.classifiers.parts import XAVIER, Draft

SHAPE = (10, 3, 224, 224)

#: Widths of an inception module: 1x1, 3x3_reduce, 3x3, 5x5_reduce, 5x5, pool_proj.
MODULES = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


def _conv(d, group, name, bottom, width, kernel, stride=1):
    """Convolution and ReLU: conv1/7x7_s2 and conv1/relu_7x7."""
    d.n[f"{group}/{name}"] = top = L.Convolution(
        bottom,
        num_output=width,
        kernel_size=kernel,
        stride=stride,
        pad=kernel // 2,
        param=LEARNED,
        **d.fillers(XAVIER, 0.2)
    )
    relu = name.replace("_s2", "")
    d.n[f"{group}/relu_{relu}"] = top = L.ReLU(top, in_place=True)
    return top


def _pool(d, name, bottom):
    d.n[name] = top = L.Pooling(bottom, pool=P.Pooling.MAX, kernel_size=3, stride=2)
    return top


def _norm(d, name, bottom):
    d.n[name] = top = L.LRN(bottom, local_size=5, alpha=1e-4, beta=0.75)
    return top


def _inception(d, module, bottom):
    group, widths = "inception_" + module, MODULES[module]
    one = _conv(d, group, "1x1", bottom, widths[0], 1)
    three = _conv(d, group, "3x3_reduce", bottom, widths[1], 1)
    three = _conv(d, group, "3x3", three, widths[2], 3)
    five = _conv(d, group, "5x5_reduce", bottom, widths[3], 1)
    five = _conv(d, group, "5x5", five, widths[4], 5)
    d.n[group + "/pool"] = pool = L.Pooling(
        bottom, pool=P.Pooling.MAX, kernel_size=3, stride=1, pad=1
    )
    pool = _conv(d, group, "pool_proj", pool, widths[5], 1)
    d.n[group + "/output"] = top = L.Concat(one, three, five, pool)
    return top


def _scores(d, group, scores, loss, weight):
    """The loss and both accuracies of one classifier."""
    d.n[loss[1]] = L.SoftmaxWithLoss(scores, d.n.label, name=loss[0], loss_weight=weight)
    d.accuracy(group + "/top-1", scores)
    d.accuracy(group + "/top-5", scores, top_k=5)


def _auxiliary(d, group, bottom):
    """A classifier on an inner module, weighted 0.3, that only training needs."""
    n = d.n
    n[group + "/ave_pool"] = top = L.Pooling(bottom, pool=P.Pooling.AVE, kernel_size=5, stride=3)
    top = _conv(d, group, "conv", top, 128, 1)
    top = d.inner_product(group + "/fc", top, 1024, XAVIER, 0.2)
    n[group + "/relu_fc"] = top = L.ReLU(top, in_place=True)
    n[group + "/drop_fc"] = top = L.Dropout(top, dropout_ratio=0.7, in_place=True)
    scores = d.inner_product(group + "/classifier", top, 1000, XAVIER)
    _scores(d, group, scores, (group + "/loss", group + "/loss1"), 0.3)


def googlenet(form):
    """BVLC's GoogLeNet."""
    d = Draft("GoogleNet", form)
    d.ilsvrc(SHAPE, (32, 50), mirror=True, mean_value=[104, 117, 123])
    top = _conv(d, "conv1", "7x7_s2", d.n.data, 64, 7, 2)
    top = _norm(d, "pool1/norm1", _pool(d, "pool1/3x3_s2", top))
    top = _conv(d, "conv2", "3x3_reduce", top, 64, 1)
    top = _conv(d, "conv2", "3x3", top, 192, 3)
    top = _pool(d, "pool2/3x3_s2", _norm(d, "conv2/norm2", top))
    for module in MODULES:
        top = _inception(d, module, top)
        if module in ("3b", "4e"):
            top = _pool(d, f"pool{module[0]}/3x3_s2", top)
        elif module in ("4a", "4d") and d.training:
            _auxiliary(d, "loss1" if module == "4a" else "loss2", top)
    d.n["pool5/7x7_s1"] = top = L.Pooling(top, pool=P.Pooling.AVE, kernel_size=7, stride=1)
    d.n["pool5/drop_7x7_s1"] = top = L.Dropout(top, dropout_ratio=0.4, in_place=True)
    scores = d.inner_product("loss3/classifier", top, 1000, XAVIER)
    if d.training:
        _scores(d, "loss3", scores, ("loss3/loss3", "loss3/loss3"), 1)
    else:
        d.n.prob = L.Softmax(scores)
    return d.net()
