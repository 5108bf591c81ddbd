"""A net of nets_made.py as an ordinary PyTorch module: what one would write by hand in eager mode.

BatchNorm and the Scale after it are one `batch_norm`, ReLU works in place. Needs nothing of Caffe.
"""

import json
import os

import numpy as np
import torch
import torch.nn.functional as F


def _pair(p, name, default, single=None):
    """kernel_size, stride or pad: one value, two, or _h and _w."""
    if f"{single or name}_h" in p:
        return [p[f"{single or name}_h"], p[f"{single or name}_w"]]
    value = p.get(name, default)
    value = value if isinstance(value, list) else [value]
    return (list(value) or [default]) * (2 if len(value) < 2 else 1)


class Net(torch.nn.Module):
    """Runs the layers of layers.json."""

    def __init__(self, folder):
        super().__init__()
        with open(os.path.join(folder, "layers.json")) as stream:
            found = json.load(stream)
        self.source, self.output = found["input"], found["output"]
        self.folder, self.steps = folder, []
        layers = [layer for layer in found["layers"] if layer["type"] != "Input"]
        skip = set()
        for i, layer in enumerate(layers):
            if i in skip:
                continue
            kind = layer["type"]
            after = layers[i + 1] if i + 1 < len(layers) else {}
            top = layer["top"][0]
            if kind == "BatchNorm" and after.get("type") == "Scale":
                skip.add(i + 1)
                run, top = self._batch_norm(layer, after), after["top"][0]
            else:
                run = getattr(self, "_" + kind.lower())(layer)
            self.steps.append((run, layer["bottom"], top))

    def forward(self, x):
        blobs = {self.source: x}
        for run, bottoms, top in self.steps:
            blobs[top] = run(*(blobs[b] for b in bottoms))
        return blobs[top]

    def _weights(self, layer, *names):
        """The layer's stored parameters."""
        stem, found = layer["name"].replace("/", "~"), []
        frozen = [spec.get("lr_mult") == 0 for spec in layer.get("param", [])]
        for number in range(9):
            path = os.path.join(self.folder, f"{stem}_{number}.npy")
            if not os.path.exists(path):
                break
            learns = not (number < len(frozen) and frozen[number])
            value = torch.nn.Parameter(torch.from_numpy(np.load(path)), requires_grad=learns)
            self.register_parameter(f"{stem}_{number}".replace(".", "-"), value)
            found.append(value)
        return found

    def _convolution(self, layer):
        p = layer["convolution_param"]
        weight, *bias = self._weights(layer)
        bias = bias[0] if bias else None
        stride, pad = _pair(p, "stride", 1), _pair(p, "pad", 0)
        dilation, group = _pair(p, "dilation", 1), p.get("group", 1)
        return lambda x: F.conv2d(x, weight, bias, stride, pad, dilation, group)

    def _deconvolution(self, layer):
        p = layer["convolution_param"]
        weight, *bias = self._weights(layer)
        bias = bias[0] if bias else None
        stride, pad, group = _pair(p, "stride", 1), _pair(p, "pad", 0), p.get("group", 1)
        return lambda x: F.conv_transpose2d(x, weight, bias, stride, pad, 0, group)

    def _innerproduct(self, layer):
        weight, *bias = self._weights(layer)
        bias = bias[0] if bias else None
        return lambda x: F.linear(x.flatten(1), weight, bias)

    def _batch_norm(self, layer, scale):
        p = layer.get("batch_norm_param", {})
        mean, variance, count = (w.detach() for w in self._weights(layer))
        mean, variance = mean / count, variance / count
        weight, *bias = self._weights(scale)
        bias, eps, always = bias[0] if bias else None, p.get("eps", 1e-5), p.get("use_global_stats")
        return lambda x: F.batch_norm(
            x, mean, variance, weight, bias, self.training and not always, 0.001, eps
        )

    def _pooling(self, layer):
        p = layer["pooling_param"]
        largest = p.get("pool", "MAX") == "MAX"
        if p.get("global_pooling"):
            return lambda x: x.amax((2, 3), True) if largest else x.mean((2, 3), True)
        kernel, stride = _pair(p, "kernel_size", 1, "kernel"), _pair(p, "stride", 1)
        pad = _pair(p, "pad", 0)
        pool = F.max_pool2d if largest else F.avg_pool2d
        return lambda x: pool(x, kernel, stride, pad, ceil_mode=True)

    def _relu(self, layer):
        return F.relu_

    def _clip(self, layer):
        p = layer["clip_param"]
        low, high = p.get("min", 0), p["max"]
        return lambda x: F.hardtanh(x, low, high, inplace=True)

    def _lrn(self, layer):
        p = layer["lrn_param"]
        size, alpha, beta = p.get("local_size", 5), p.get("alpha", 1), p.get("beta", 0.75)
        k = p.get("k", 1)
        if p.get("norm_region") == "WITHIN_CHANNEL":
            pool = (size, 1, size // 2)
            return lambda x: x * (1 + alpha * F.avg_pool2d(x * x, *pool)).pow(-beta)
        return lambda x: F.local_response_norm(x, size, alpha, beta, k)

    def _power(self, layer):
        p = layer["power_param"]
        scale, shift = p.get("scale", 1), p.get("shift", 0)
        return lambda x: x * scale + shift

    def _eltwise(self, layer):
        coefficients = layer.get("eltwise_param", {}).get("coeff")
        if coefficients:
            return lambda *xs: sum(c * x for c, x in zip(coefficients, xs))
        return lambda a, b: a + b

    def _crop(self, layer):
        p = layer["crop_param"]
        first = p.get("offset", [0])
        first = first * 2 if len(first) == 1 else first

        def crop(x, like):
            h, w = like.shape[2:]
            return x[:, :, first[0] : first[0] + h, first[1] : first[1] + w]

        return crop

    def _concat(self, layer):
        return lambda *xs: torch.cat(xs, 1)

    def _dropout(self, layer):
        ratio = layer.get("dropout_param", {}).get("dropout_ratio", 0.5)
        return lambda x: F.dropout(x, ratio, self.training)

    def _softmax(self, layer):
        # In training the loss takes the scores.
        return lambda x: x if self.training else F.softmax(x, 1)


class Step:
    """A training step: forward, loss, backward, SGD with momentum."""

    def __init__(self, net):
        self.net = net.train()
        parameters = [p for p in net.parameters() if p.requires_grad]
        self.update = torch.optim.SGD(parameters, 1e-6, 0.9, weight_decay=0.0005)

    def __call__(self, images, labels):
        scores = self.net(images)
        F.cross_entropy(scores, labels.long().view(len(scores), *scores.shape[2:])).backward()
        self.update.step()
        self.update.zero_grad()
