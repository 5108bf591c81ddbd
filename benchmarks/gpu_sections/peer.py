"""FCN-8s as one would write it in plain PyTorch: nn.Module, eager, torch.optim.SGD.

The same arithmetic as nets/voc-fcn8s: pad 100, pooling that rounds up, crops at 5, 9 and 31, frozen
bilinear upsampling, and the same weights, so that its numbers must agree with the engine's.
"""

import contextlib

import torch
from torch import nn
from torch.nn import functional

from gpu_sections.fcn8s import BASE_LR, CLASSES, DECAY, MOMENTUM, VOID

__all__ = ["FCN8s", "Peer", "optimizers", "peer_of"]

STAGES = (2, 2, 3, 3, 3)
DENSE = "_dense"


class FCN8s(nn.Module):
    """The net; `widths` are those of the five stages and of fc6 and fc7.

    It holds its upsampling twice: `grouped` by channel, or as one dense ConvTranspose2d as in most
    published code; the attribute says which one computes.
    """

    grouped = True

    def __init__(self, widths=(64, 128, 256, 512, 512, 4096, 4096)):
        super().__init__()
        channels = 3
        for stage, (count, width) in enumerate(zip(STAGES, widths), 1):
            for number in range(1, count + 1):
                pad = 100 if stage == number == 1 else 1
                self.add_module(f"conv{stage}_{number}", nn.Conv2d(channels, width, 3, padding=pad))
                channels = width
        self.fc6 = nn.Conv2d(widths[4], widths[5], 7)
        self.fc7 = nn.Conv2d(widths[5], widths[6], 1)
        self.score_fr = nn.Conv2d(widths[6], CLASSES, 1)
        self.score_pool4 = nn.Conv2d(widths[3], CLASSES, 1)
        self.score_pool3 = nn.Conv2d(widths[2], CLASSES, 1)
        for name, stride in (("upscore2", 2), ("upscore_pool4", 2), ("upscore8", 8)):
            for end, groups in (("", CLASSES), (DENSE, 1)):
                up = nn.ConvTranspose2d(
                    CLASSES, CLASSES, 2 * stride, stride, groups=groups, bias=False
                )
                self.add_module(name + end, up.requires_grad_(False))
        self.relu, self.drop = nn.ReLU(inplace=True), nn.Dropout(0.5)
        self.pool = nn.MaxPool2d(2, 2, ceil_mode=True)

    def forward(self, x, kept=None):
        """Scores N×21×H×W; `kept`, a dict, receives the tops of some layers by name."""
        kept = {} if kept is None else kept
        height, width = x.shape[2:]
        for stage, count in enumerate(STAGES, 1):
            for number in range(1, count + 1):
                x = self.relu(getattr(self, f"conv{stage}_{number}")(x))
            x = kept[f"pool{stage}"] = self.pool(x)
        x = kept["fc6"] = self.drop(self.relu(self.fc6(x)))
        x = kept["fc7"] = self.drop(self.relu(self.fc7(x)))
        x = kept["score_fr"] = self.score_fr(x)
        x = self.up("upscore2", x)
        x = self.up("upscore_pool4", x + crop(self.score_pool4(kept["pool4"]), 5, *x.shape[2:]))
        x = self.up("upscore8", x + crop(self.score_pool3(kept["pool3"]), 9, *x.shape[2:]))
        kept["score"] = crop(x, 31, height, width)
        return kept["score"]

    def up(self, name, x):
        return getattr(self, name if self.grouped else name + DENSE)(x)


def crop(x, offset, height, width):
    return x[:, :, offset : offset + height, offset : offset + width]


def peer_of(weights):
    """The module with the engine's weights (see fcn8s.random_weights), float32, on the CPU."""
    counts = [len(weights[f"conv{stage}_1", 1]) for stage in range(1, 6)]
    model = FCN8s(counts + [len(weights[name, 1]) for name in ("fc6", "fc7")])
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            layer, kind = name.split(".")
            dense = layer.endswith(DENSE)
            stored = weights[layer[: -len(DENSE)] if dense else layer, int(kind == "bias")]
            stored = torch.from_numpy(stored)
            if layer.startswith("upscore"):
                stored = _upsampling(stored, dense)
            parameter.copy_(stored.reshape(parameter.shape))
    return model


def _upsampling(stored, dense):
    """Weights between all channels (C×C×k×k), or between equal ones alone (C×1×k×k)."""
    count, mixed = stored.shape[:2]
    each = stored[range(count), range(count)] if mixed > 1 else stored[:, 0]
    if not dense:
        return each[:, None]
    found = torch.zeros(count, count, *each.shape[1:])
    found[range(count), range(count)] = each
    return found


def loss_of(scores, label):
    """Caffe's SoftmaxWithLoss with ignore_label 255 and normalize: false, in float32 or better."""
    scores = scores if scores.dtype == torch.float64 else scores.float()
    total = functional.cross_entropy(scores, label, ignore_index=VOID, reduction="sum")
    return total / len(label)


def optimizers(model):
    """{name: a function that makes torch.optim.SGD} of those that this device has."""
    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    groups = [
        {"params": [p for n, p in named if n.endswith("weight")], "weight_decay": DECAY},
        {"params": [p for n, p in named if n.endswith("bias")], "lr": 2 * BASE_LR},
    ]

    def make(**kind):
        copies = [dict(group) for group in groups]
        return torch.optim.SGD(copies, lr=BASE_LR, momentum=MOMENTUM, **kind)

    return {"foreach": lambda: make(foreach=True), "fused": lambda: make(fused=True)}


class Peer:
    """The module at work in one layout; `precision` bf16 means autocast, as PyTorch advises."""

    precision = "fp32"

    def __init__(self, weights, device, last):
        self.name = "channels_last" if last else "NCHW"
        self.layout = torch.channels_last if last else torch.contiguous_format
        self.device = device
        self.model = peer_of(weights).to(device).to(memory_format=self.layout)
        self.optimizer = None

    def autocast(self):
        if self.precision == "bf16":
            return torch.autocast(self.device.type, dtype=torch.bfloat16)
        return contextlib.nullcontext()

    def upload(self, image):
        """A picture N×3×H×W in this layout, from wherever it is; from pinned memory at once."""
        return image.to(self.device, non_blocking=True).contiguous(memory_format=self.layout)

    def forward(self, image):
        self.model.eval()
        with torch.inference_mode(), self.autocast():
            return self.model(self.upload(image))

    def step(self, image, label):
        """One step of training; `label`: uint8 N×H×W.  The loss is not read."""
        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        target = label.to(self.device, non_blocking=True).long()
        with self.autocast():
            scores = self.model(self.upload(image))
        loss = loss_of(scores, target)
        loss.backward()
        self.optimizer.step()
        return loss
