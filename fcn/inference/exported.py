"""An experiment's net as an ONNX file that `caffe export` wrote, run by ONNX Runtime."""

from collections.abc import Sequence
from typing import Any, Callable, Optional

import numpy as np

from fcn.geometry.ops import InferenceError
from fcn.inference.tiles import Tile
from fcn.inference.whole_image import WholeImage

__all__ = ["ExportedModel"]


class ExportedModel(WholeImage):
    """As fcn.inference.model.Model, one whole image at a time."""

    #: Whether its scores are probabilities already.
    normalized = False

    def __init__(
        self, path: str, mean: Sequence[float], heads: Sequence[str], classes: Sequence[int]
    ) -> None:
        """``heads``: the outputs that hold scores, and ``classes``: of how many classes each.

        ``mean`` is subtracted unless the graph does that itself.
        """
        self.session = _session(path)
        self.heads = list(heads)
        inputs = self.session.get_inputs()
        shape = list(inputs[0].shape) if inputs else []
        if len(inputs) != 1 or len(shape) != 4 or shape[1] != 3:
            read = ", ".join(f"{i.name} {i.shape}" for i in inputs) or "nothing"
            raise InferenceError(f"'{path}' reads {read}; expected a photo, (1, 3, H, W)")
        given = {output.name: output.shape for output in self.session.get_outputs()}
        for name, count in zip(heads, classes):
            if name not in given or len(given[name]) != 4 or given[name][1] != count:
                got = ", ".join(f"{n} {s}" for n, s in given.items())
                raise InferenceError(
                    f"'{path}' gives {got}; expected scores of {count} classes, '{name}' "
                    f"(1, {count}, H, W). Does the file belong to the net of --net?"
                )
        self.input = inputs[0].name
        #: Height and width of what it reads, None where any will do.
        self.size: Optional[tuple[int, int]] = None
        if any(isinstance(n, int) for n in shape[2:]):
            if not all(isinstance(n, int) for n in shape[2:]):
                raise InferenceError(
                    f"'{path}' leaves one of height and width open, {shape}; both or none can be"
                )
            self.size = (shape[2], shape[3])
        # A graph that prepares its images says so; then it takes pixels as they are.
        said = self.session.get_modelmeta().custom_metadata_map.get("preprocessing", "")
        self.prepares, self.rgb = bool(said), "RGB to BGR" in said
        self.mean = np.array(mean, np.float32)[:, None, None]
        self.scores: list[np.ndarray] = []

    def memory(self, height: int, width: int) -> int:
        """Not known of ONNX Runtime."""
        return 0

    def labels(
        self,
        pixels: np.ndarray,
        plan: Sequence[Tile],
        progress: Optional[Callable[..., None]] = None,
        see: Optional[Callable[..., None]] = None,
    ) -> list[np.ndarray]:
        """The class of each pixel by each head, uint8 (H, W), of RGB pixels, uint8 (H, W, 3).

        ``see``: see `Model.labels`.
        """
        image = (pixels if self.rgb else pixels[:, :, ::-1]).transpose(2, 0, 1).astype(np.float32)
        if not self.prepares:
            image = image - self.mean
        feeds = {self.input: np.ascontiguousarray(image[None])}
        try:
            self.scores = [scores[0] for scores in self.session.run(self.heads, feeds)]
        except Exception as error:  # ONNX Runtime's exceptions have no common class
            raise InferenceError(f"ONNX Runtime fails: {error}") from error
        for head, scores in enumerate(self.scores):
            if not np.isfinite(scores).all():
                raise InferenceError("the scores are not finite numbers")
            if see:
                see(head, slice(None), slice(None), scores)
        return [scores.argmax(0).astype(np.uint8) for scores in self.scores]

    def certainty(self, chosen: np.ndarray, item: int = 0) -> float:
        """The mean probability of the first head's best class over the chosen pixels."""
        scores = self.scores[0][:, chosen]
        return float((1 / np.exp(scores - scores.max(0)).sum(0, dtype=np.float64)).mean())


def _session(path: str) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise InferenceError(
            f"--onnx needs the package onnxruntime, which cannot be imported ({error}): "
            'pip install "pycaffe-torch[onnx]"'
        ) from None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
    except Exception as error:
        raise InferenceError(f"'{path}' is no ONNX file that can be run: {error}") from error
