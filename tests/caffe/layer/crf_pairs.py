"""What the tests of CRFs compare with: Gaussian filters with all pairs of pixels."""

from __future__ import annotations

import numpy as np


def picture(h: int, w: int, seed: int = 0) -> np.ndarray:
    """3 x H x W from 0 to 255: two smooth halves with an edge between them."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:h, :w]
    halves = np.where(x < w // 2 + (y > h // 2), 60.0, 190.0)
    slopes = rng.uniform(-20, 20, (3, 2)) / max(h, w)
    smooth = halves + np.stack([a * x + b * y for a, b in slopes])
    return (smooth + rng.normal(0, 4, (3, h, w))).astype(np.float32)


def unary(classes: int, h: int, w: int, seed: int = 1) -> np.ndarray:
    """Random scores, C x H x W."""
    return np.random.default_rng(seed).normal(0, 1.5, (classes, h, w)).astype(np.float32)


def softmax(rows: np.ndarray) -> np.ndarray:
    """Over the last axis."""
    powers = np.exp(rows - rows.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def filter_matrix(
    h: int, w: int, xy: float, image: np.ndarray | None = None, colour: float = 1
) -> np.ndarray:
    """Weights exp(-|f - g|^2 / 2) of all pairs of pixels, each row divided by its sum."""
    y, x = np.mgrid[:h, :w]
    features = np.stack([x.ravel() / xy, y.ravel() / xy], 1)
    if image is not None:
        features = np.concatenate([features, image.reshape(len(image), -1).T / colour], 1)
    squares = ((features[:, None] - features[None]) ** 2).sum(-1)
    weights = np.exp(-squares / 2)
    return weights / weights.sum(1, keepdims=True)
