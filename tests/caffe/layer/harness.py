"""What the layer tests share: one layer on real blobs, without a net around it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from google.protobuf import text_format

from caffe.blob import Blob
from caffe.layer import Layer, Need, create
from caffe.proto import caffe_pb2

TRAIN, TEST = 0, 1
torch.set_num_threads(1)  # the blobs are tiny: more threads only wait for each other


class Rig:
    """A layer with its bottoms and tops: ``Rig('type: "ReLU"', (2, 3)).forward(x)``.

    ``text`` is the inside of a ``layer { }``.  Bottoms are named b0, b1, ...; ``tops`` of them go
    out as t0, t1, ...; with ``in_place`` top 0 is bottom 0.
    """

    def __init__(
        self,
        text: str,
        *shapes: Sequence[int],
        tops: int = 1,
        phase: int = TRAIN,
        in_place: bool = False,
    ) -> None:
        param = text_format.Parse(text, caffe_pb2.LayerParameter(name="layer"))
        param.bottom.extend(f"b{i}" for i in range(len(shapes)))
        param.top.extend("b0" if in_place and i == 0 else f"t{i}" for i in range(tops))
        self.layer: Layer = create(param, phase)
        self.layer.check_counts()
        self.bottom = [Blob(s) for s in shapes]
        self.top = [self.bottom[0] if in_place and i == 0 else Blob() for i in range(tops)]
        self.layer.setup_blobs(self.bottom, self.top)
        self.layer.reshape_blobs(self.bottom, self.top)

    def reshape(self, *shapes: Sequence[int]) -> list[tuple[int, ...]]:
        """New bottom shapes; returns the tops'."""
        for blob, shape in zip(self.bottom, shapes):
            blob.set_dims(shape)
        self.layer.reshape_blobs(self.bottom, self.top)
        return [b.dims for b in self.top]

    def forward(self, *arrays: np.ndarray) -> np.ndarray:
        """Write the bottoms, run, return a copy of the first top."""
        for blob, array in zip(self.bottom, arrays):
            blob.data[...] = array
        with torch.no_grad():
            self.layer.reshape_blobs(self.bottom, self.top)
            self.layer.before_forward(self.bottom)
            self.layer.forward_blobs(self.bottom, self.top)
        return self.top[0].data.copy() if self.top else np.zeros(0, np.float32)

    def backward(
        self,
        *diffs: np.ndarray | float,
        bottoms: Sequence[bool] | None = None,
        params: Sequence[bool] | None = None,
    ) -> list[np.ndarray | None]:
        """Write the top diffs, run, return copies of the bottoms' diffs (None where not asked)."""
        for blob, diff in zip(self.top, diffs):
            blob.diff[...] = diff
        if bottoms is None:
            bottoms = [i not in self.layer.no_gradient for i in range(len(self.bottom))]
        need = Need(
            tuple(bottoms), tuple([True] * len(self.layer.blobs) if params is None else params)
        )
        with torch.no_grad():
            self.layer.backward_blobs(self.top, need, self.bottom)
        return [b.diff.copy() if n else None for b, n in zip(self.bottom, need.bottoms)]


def random(*shape: int, seed: int = 0, low: float = -2.0, high: float = 2.0) -> np.ndarray:
    """Uniform float32 values."""
    return np.random.default_rng(seed).uniform(low, high, shape).astype(np.float32)


def close(actual: np.ndarray, expected: np.ndarray) -> None:
    """Equal within the tolerance of one layer, and not both zero."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape, f"{actual.shape} against {expected.shape}"
    largest = np.abs(expected).max(initial=0)
    assert largest > 0, "a comparison with all zeros proves nothing"
    error = np.abs(actual - expected).max()
    assert error <= 1e-5 + 1e-4 * largest, f"off by {error:.3g} where the maximum is {largest:.3g}"


def check_gradient(
    rig: Rig,
    *arrays: np.ndarray,
    step: float = 1e-2,
    tolerance: float = 2e-2,
    bottoms: Sequence[int] | None = None,
    tops: int | None = None,
) -> None:
    """Compare backward with central differences of a random weighting of the tops.

    Checks every blob parameter and the bottoms listed (all that can have a gradient by default);
    ``tops`` is how many of the tops the gradient goes through.
    """
    rig.forward(*arrays)
    weights = [random(*t.dims, seed=50 + i) for i, t in enumerate(rig.top[:tops])]

    def objective() -> float:
        rig.forward()
        return sum(float((w.astype(np.float64) * t.data).sum()) for w, t in zip(weights, rig.top))

    if bottoms is None:
        bottoms = [i for i in range(len(rig.bottom)) if i not in rig.layer.no_gradient]
    for blob in rig.layer.blobs:
        blob.zero_diff()
    diffs = rig.backward(*weights, bottoms=[i in bottoms for i in range(len(rig.bottom))])
    checked = [(f"bottom {i}", rig.bottom[i], diffs[i]) for i in bottoms]
    checked += [(f"param {i}", b, b.diff.copy()) for i, b in enumerate(rig.layer.blobs)]
    for what, blob, found in checked:
        expected = np.zeros(blob.count)
        flat = blob.data.reshape(-1)
        for i in range(blob.count):
            kept = flat[i]
            flat[i] = kept + step
            high = objective()
            flat[i] = kept - step
            low = objective()
            flat[i] = kept
            expected[i] = (high - low) / (2 * step)
        error = np.abs(expected - found.reshape(-1)).max()
        scale = max(1.0, np.abs(expected).max())
        assert np.abs(expected).max() > 0, f"the gradient of {what} is zero everywhere"
        assert error <= tolerance * scale, (
            f"gradient of {what} off by {error:.3g}, scale {scale:.3g}"
        )
