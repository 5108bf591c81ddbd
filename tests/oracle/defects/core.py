"""Defects of the layer types, fillers and solvers that FCN uses."""

from defects.make import Defect

RAMP = """    def _maximum(self, x):
        y, _, plain = self._first_maximum(x)
        ramp = torch.arange(x[0, 0].numel()).view(x.shape[2:]) * 1e-5
        return y, self._first_maximum(x + ramp)[1], plain

    def _first_maximum(self, x"""

# The native kernels' update, where there are any, would pass edits of the rules by.
WITHOUT_NATIVE_UPDATES = (
    "solver/update.py",
    'native = kind in ("L1", "L2") and',
    "native = False and",
)

DEFECTS = [
    Defect(
        "pooling rounds the output size down",
        "layer/pooling.py",
        "else -(-room // stride)",
        "else room // stride",
        ["Pooling"],
    ),
    Defect(
        "pooling keeps a last window that starts in the pad",
        "layer/pooling.py",
        "out[i] -= 1",
        "out[i] -= 0",
        ["Pooling"],
    ),
    Defect(
        "MAX pooling takes the last of equal maxima",
        "layer/pooling.py",
        "    def _maximum(self, x",
        RAMP,
        ["Pooling"],
    ),
    Defect(
        "AVE pooling does not count padded cells",
        "layer/pooling.py",
        "self.ceil_mode, True)",
        "self.ceil_mode, False)",
        ["Pooling"],
    ),
    Defect(
        "ignore_label is dropped",
        "layer/_indices.py",
        "        return index, counts",
        "        return index, None",
        ["SoftmaxWithLoss"],
    ),
    Defect(
        "the default normalisation is the batch size",
        "layer/softmax_loss.py",
        "normalization(p, p.VALID)",
        "normalization(p, p.BATCH_SIZE)",
        ["SoftmaxWithLoss"],
    ),
    Defect(
        "the loss weight does not reach the gradient",
        "layer/softmax_loss.py",
        "scale = top_diffs[0] / self._divisor(counts)",
        "scale = torch.ones_like(top_diffs[0]) / self._divisor(counts)",
        ["SoftmaxWithLoss"],
        # The native kernels for few scores, where there are any, would pass the edit by.
        [("layer/softmax_loss.py", "if self.is_plain(prob, labels):", "if False:")],
    ),
    Defect(
        "EuclideanLoss is not halved",
        "layer/euclidean_loss.py",
        "div_(2 * a.shape[0])",
        "div_(a.shape[0])",
        ["EuclideanLoss"],
    ),
    Defect("LRN ignores k", "layer/lrn.py", ".add_(self.k)", ".add_(1)", ["LRN"]),
    Defect(
        "LRN does not divide alpha by the window",
        "layer/lrn.py",
        ".mul_(self.alpha / self.size)",
        ".mul_(self.alpha)",
        ["LRN"],
    ),
    Defect(
        "BatchNorm keeps the biased variance, without m/(m−1)",
        "layer/batch_norm.py",
        "alpha=m / (m - 1) if m > 1 else 1",
        "alpha=1",
        ["BatchNorm"],
    ),
    Defect(
        "BatchNorm does not divide by the third blob",
        "layer/batch_norm.py",
        "factor = torch.where(count == 0, 0.0, 1 / count)",
        "factor = 1.0",
        ["BatchNorm"],
    ),
    Defect(
        "Accuracy counts ties as right",
        "layer/accuracy.py",
        "(scores >= scores.gather(self.class_axis, index)).sum(self.class_axis) - 1",
        "(scores > scores.gather(self.class_axis, index)).sum(self.class_axis)",
        ["Accuracy"],
    ),
    Defect(
        "ArgMax takes the first of equal values",
        "layer/argmax.py",
        "torch.where(found, places, -1.0).amax(axis, keepdim=True)",
        "torch.where(found, places, 1e9).amin(axis, keepdim=True)",
        ["ArgMax"],
    ),
    Defect(
        "Eltwise MAX gives ties to the first bottom",
        "layer/eltwise.py",
        "ahead = first > bottoms[1]",
        "ahead = first >= bottoms[1]",
        ["Eltwise"],
    ),
    Defect(
        "Crop ignores its offset",
        "layer/crop.py",
        "slice(offset, offset + size)",
        "slice(0, size)",
        ["Crop"],
    ),
    Defect(
        "Dropout does not scale what it keeps",
        "layer/dropout.py",
        "self._draw(x).mul_(self._scale_of_mask)",
        "self._draw(x)",
        ["Dropout"],
    ),
    Defect(
        "Dropout scales in TEST",
        "layer/dropout.py",
        "self._scale = 1.0 if p.scale_train else kept",
        "self._scale = kept",
        ["Dropout"],
    ),
    Defect(
        "Deconvolution flips its kernel",
        "layer/_base_conv.py",
        "y = torch.convolution(x, weight, bias",
        "y = torch.convolution(x, weight.flip(-1) if self.transposed else weight, bias",
        ["Deconvolution"],
    ),
    Defect(
        "Convolution ignores dilation",
        "layer/_base_conv.py",
        'self.dilation = self._sizes("dilation", 1)',
        "self.dilation = [1] * self.spatial_axes",
        ["Convolution"],
    ),
    Defect(
        "the bilinear filler is centred as in the tag 1.0",
        "filler.py",
        "centre = _F32(k - 1) / _F32(2 * f)",
        "centre = _F32(2 * f - 1 - f % 2) / _F32(2 * f)",
        ["filler bilinear"],
    ),
    Defect(
        "xavier uses fan_out",
        "filler.py",
        "fan_in = count // shape[0]",
        "fan_in = count // shape[1]",
        ["filler xavier"],
    ),
    Defect(
        "a learned Scale's gradient is always added",
        "layer/scale.py",
        "return self.elementwise or (self.geometry.outer == 1 and self.geometry.size > 1)",
        "return False",
        ["Scale"],
    ),
    Defect(
        "clipping after dividing by iter_size",
        "solver/update.py",
        "norm = float(_F32(math.sqrt(total)))",
        "norm = float(_F32(math.sqrt(total) / param.iter_size))",
        ["solver clip_gradients"],
    ),
    Defect(
        "clipping parameter by parameter",
        "solver/update.py",
        "total += float(torch.dot(flat, flat))",
        "total = float(torch.dot(flat, flat))",
        ["solver clip_gradients"],
    ),
    Defect(
        "gradients are not divided by iter_size",
        "solver/update.py",
        "1.0 / iter_size",
        "1.0",
        ["solver iter_size"],
    ),
    Defect(
        "decay_mult is ignored",
        "solver/update.py",
        "_F32(param.weight_decay) * _F32(decay_mult)",
        "_F32(param.weight_decay)",
        ["solver weight_decay"],
    ),
    Defect(
        "L1 decay works as L2",
        "solver/update.py",
        'data if kind == "L2" else torch._foreach_sign(data)',
        "data",
        ["solver weight_decay"],
        [WITHOUT_NATIVE_UPDATES],
    ),
    Defect(
        "the momentum history is without the rate",
        "solver/rules.py",
        "add_(h[0], g, alpha=s.rate)\n        torch._foreach_copy_(g, h[0])\n\n\n",
        "add_(h[0], g)\n        torch._foreach_copy_(g, torch._foreach_mul(h[0], s.rate))\n\n\n",
        ["solver momentum"],
        # PyTorch's one-pass update, where there is one, would pass the edit by.
        [
            ("solver/rules.py", "and fused_sgd.available(w[0].device.type)", "and False"),
            WITHOUT_NATIVE_UPDATES,
        ],
    ),
    Defect(
        "multistep is one iteration late",
        "solver/lr_policy.py",
        "iteration >= param.stepvalue[step]",
        "iteration > param.stepvalue[step]",
        ["solver lr_policy"],
    ),
    Defect(
        "step counts from iteration 1",
        "solver/lr_policy.py",
        "step = iteration // param.stepsize",
        "step = (iteration + 1) // param.stepsize",
        ["solver lr_policy"],
    ),
]
