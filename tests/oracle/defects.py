"""Defects that the comparison must catch: each a small edit of the engine's source.

They are the mistakes that an engine written from the documentation, from another framework's habits
or in a hurry would have. An edit whose text is no longer in the file is a failure, not a skip.
"""

from collections import namedtuple

# name: what is wrong; path: below src/caffe; old, new: the edit; types: whose cases must notice;
# also: more edits (path, old, new) that it takes.
Defect = namedtuple("Defect", "name path old new types also", defaults=[()])

RAMP = """    def _maximum(self, x):
        y, _, plain = self._first_maximum(x)
        ramp = torch.arange(x[0, 0].numel()).view(x.shape[2:]) * 1e-5
        return y, self._first_maximum(x + ramp)[1], plain

    def _first_maximum(self, x"""

DEFECTS = [
    Defect("pooling rounds the output size down", "layer/pooling.py",
           "else -(-room // stride)", "else room // stride", ["Pooling"]),
    Defect("pooling keeps a last window that starts in the pad", "layer/pooling.py",
           "out[i] -= 1", "out[i] -= 0", ["Pooling"]),
    Defect("MAX pooling takes the last of equal maxima", "layer/pooling.py",
           "    def _maximum(self, x", RAMP, ["Pooling"]),
    Defect("AVE pooling does not count padded cells", "layer/pooling.py",
           "self.ceil_mode, True)", "self.ceil_mode, False)", ["Pooling"]),
    Defect("ignore_label is dropped", "layer/_loss.py",
           "return index, counts", "return index, None", ["SoftmaxWithLoss"]),
    Defect("the default normalisation is the batch size", "layer/softmax_loss.py",
           "normalization(p, p.VALID)", "normalization(p, p.BATCH_SIZE)", ["SoftmaxWithLoss"]),
    Defect("the loss weight does not reach the gradient", "layer/softmax_loss.py",
           "scale = top_diffs[0] / self._divisor(counts)",
           "scale = torch.ones_like(top_diffs[0]) / self._divisor(counts)", ["SoftmaxWithLoss"]),
    Defect("EuclideanLoss is not halved", "layer/euclidean_loss.py",
           "div_(2 * a.shape[0])", "div_(a.shape[0])", ["EuclideanLoss"]),
    Defect("LRN ignores k", "layer/lrn.py", ".add_(self.k)", ".add_(1)", ["LRN"]),
    Defect("LRN does not divide alpha by the window", "layer/lrn.py",
           ".mul_(self.alpha / self.size)", ".mul_(self.alpha)", ["LRN"]),
    Defect("BatchNorm keeps the biased variance, without m/(m−1)", "layer/batch_norm.py",
           "alpha=m / (m - 1) if m > 1 else 1", "alpha=1", ["BatchNorm"]),
    Defect("BatchNorm does not divide by the third blob", "layer/batch_norm.py",
           "factor = torch.where(count == 0, 0.0, 1 / count)", "factor = 1.0", ["BatchNorm"]),
    Defect("Accuracy counts ties as right", "layer/accuracy.py",
           "(scores >= scores.gather(self.class_axis, index)).sum(self.class_axis) - 1",
           "(scores > scores.gather(self.class_axis, index)).sum(self.class_axis)", ["Accuracy"]),
    Defect("ArgMax takes the first of equal values", "layer/argmax.py",
           "torch.where(found, places, -1.0).amax(axis, keepdim=True)",
           "torch.where(found, places, 1e9).amin(axis, keepdim=True)", ["ArgMax"]),
    Defect("Eltwise MAX gives ties to the first bottom", "layer/eltwise.py",
           "ahead = first > bottoms[1]", "ahead = first >= bottoms[1]", ["Eltwise"]),
    Defect("Crop ignores its offset", "layer/crop.py",
           "slice(offset, offset + size)", "slice(0, size)", ["Crop"]),
    Defect("Dropout does not scale what it keeps", "layer/dropout.py",
           "self._draw(x).mul_(scale)", "self._draw(x)", ["Dropout"]),
    Defect("Dropout scales in TEST", "layer/dropout.py",
           "            return [x]\n", "            return [x * (1 - self.ratio)]\n", ["Dropout"]),
    Defect("Deconvolution flips its kernel", "layer/convolution.py",
           "y = torch.convolution(x, weight, bias",
           "y = torch.convolution(x, weight.flip(-1) if self.transposed else weight, bias",
           ["Deconvolution"]),
    Defect("Convolution ignores dilation", "layer/convolution.py",
           'self.dilation = self._sizes("dilation", 1)', "self.dilation = [1] * self.spatial_axes",
           ["Convolution"]),
    Defect("the bilinear filler is centred as in the tag 1.0", "filler.py",
           "centre = _F32(k - 1) / _F32(2 * f)", "centre = _F32(2 * f - 1 - f % 2) / _F32(2 * f)",
           ["filler bilinear"]),
    Defect("xavier uses fan_out", "filler.py",
           "fan_in = array.size // array.shape[0]", "fan_in = array.size // array.shape[1]",
           ["filler xavier"]),
    Defect("a learned Scale's gradient is always added", "layer/scale.py",
           "return self.elementwise or (self.geometry.outer == 1 and self.geometry.size > 1)",
           "return False", ["Scale"]),
    Defect("clipping after dividing by iter_size", "solver_update.py",
           "norm = float(_F32(math.sqrt(total)))",
           "norm = float(_F32(math.sqrt(total) / param.iter_size))", ["solver clip_gradients"]),
    Defect("clipping parameter by parameter", "solver_update.py",
           "total += float(torch.dot(flat, flat))", "total = float(torch.dot(flat, flat))",
           ["solver clip_gradients"]),
    Defect("gradients are not divided by iter_size", "solver_update.py",
           "1.0 / param.iter_size", "1.0", ["solver iter_size"]),
    Defect("decay_mult is ignored", "solver_update.py",
           "_F32(param.weight_decay) * _F32(decay_mult)", "_F32(param.weight_decay)",
           ["solver weight_decay"]),
    Defect("L1 decay works as L2", "solver_update.py",
           'data if kind == "L2" else data.sign()', "data", ["solver weight_decay"]),
    Defect("the momentum history is without the rate", "update_rules.py",
           "add_(g, alpha=s.rate)\n        g.copy_(h[0])",
           "add_(g)\n        g.copy_(h[0] * s.rate)", ["solver momentum"],
           # PyTorch's one-pass update, where there is one, would pass the edit by.
           [("update_rules.py", "and fused_sgd.available()", "and False")]),
    Defect("multistep is one iteration late", "lr_policy.py",
           "iteration >= param.stepvalue[step]", "iteration > param.stepvalue[step]",
           ["solver lr_policy"]),
    Defect("step counts from iteration 1", "lr_policy.py",
           "step = iteration // param.stepsize", "step = (iteration + 1) // param.stepsize",
           ["solver lr_policy"]),
]
