"""EltwiseAccuracy is Accuracy under another name and field."""

import numpy as np
from harness import Rig, close, random


def test_eltwise_accuracy(device):
    scores = random(2, 5, 4, 4)
    labels = np.random.default_rng(0).integers(0, 5, (2, 1, 4, 4)).astype(np.float32)
    for text in ("", "ignore_label: 2", "top_k: 3 ignore_label: 2"):
        ours = Rig(
            f'type: "EltwiseAccuracy" eltwise_accuracy_param {{ {text} }}',
            scores.shape,
            labels.shape,
        )
        plain = Rig(f'type: "Accuracy" accuracy_param {{ {text} }}', scores.shape, labels.shape)
        close(ours.forward(scores, labels), plain.forward(scores, labels))
