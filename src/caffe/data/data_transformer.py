"""What data layers do to a picture before it enters the net: crop, mirror, mean, scale.

The settings are ``transform_param``.  A value is (pixel - mean) * scale in float32; channels of
colour pictures are B, G, R.  Not to be confused with ``caffe.io.Transformer``, which scripts use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from caffe import glog, rng
from caffe.data import image_files, mean_file
from caffe.errors import DataError, LayerError

if TYPE_CHECKING:
    import torch

__all__ = ["DataTransformer"]

TRAIN = 0
# Settings of SSD's, which change what the net sees.
OF_SSD = ("resize_param", "noise_param", "distort_param", "expand_param", "crop_h", "crop_w")


class DataTransformer:
    """``transform_param`` at work.

    The random numbers are a stream of its own, which a word of Caffe's stream seeds; so what is
    drawn does not depend on which thread transforms, nor when.  The order of draws for a picture is
    BVLC's: mirror, then the crop's row and column.

    Args:
        param: a ``TransformationParameter``.
        phase: 0 in training, where crops are random; otherwise they are central.

    Raises:
        LayerError: contradictory settings.
        DataError: the mean file cannot be read.
    """

    refused: tuple[str, ...] = OF_SSD

    def __init__(self, param: Any, phase: int) -> None:
        if param.mean_file and param.mean_value:
            raise LayerError(
                "Cannot specify mean_file and mean_value at the same time: remove one of them"
            )
        if param.force_color and param.force_gray:
            raise LayerError("cannot set both force_color and force_gray: remove one of them")
        for name in self.refused:
            if param.HasField(name):
                raise LayerError(
                    f"transform_param {{ {name} }} is a setting of SSD's that is not implemented "
                    "in this layer and changes what the net sees: take it out only where the task "
                    "allows, and prepare the pictures accordingly"
                )
        self.param = param
        self.random_crop = phase == TRAIN and param.crop_size > 0
        self.mean = mean_file.read(param.mean_file) if param.mean_file else None
        self._generator: rng.Generator | None = None
        self._warned = False
        self._means: dict[torch.device, torch.Tensor] = {}

    def init_rand(self) -> None:
        """Seed the transformer's stream, where it needs one, with a word of Caffe's stream.

        BVLC's layers with a prefetching thread call this twice, the others once.
        """
        if self.param.mirror or self.random_crop:
            self._generator = rng.Generator(int(rng.get().u32(1)[0]))

    def state(self) -> str | None:
        """The place in the stream, for :meth:`set_state`; None where there is no stream."""
        return self._generator.state() if self._generator else None

    def set_state(self, state: str | None) -> None:
        if self._generator and state is not None:
            self._generator.set_state(state)

    def pixels(self, datum: Any) -> np.ndarray:
        """The picture in a ``Datum``: uint8 or float32, (C, H, W).

        Raises:
            DataError: it cannot be decoded, or holds another number of values than its size says.
        """
        if datum.encoded:
            color = True if self.param.force_color else False if self.param.force_gray else None
            return image_files.decode(datum.data, color, "of the datum").transpose(2, 0, 1)
        if (self.param.force_color or self.param.force_gray) and not self._warned:
            self._warned = True
            glog.error("data_transformer", "force_color and force_gray only for encoded datum")
        shape = (datum.channels, datum.height, datum.width)
        if datum.data:
            values = np.frombuffer(datum.data, np.uint8)
        else:
            values = np.array(datum.float_data, np.float32)
        if min(shape) < 1 or values.size != shape[0] * shape[1] * shape[2]:
            raise DataError(
                f"the datum has {values.size} {'bytes' if datum.data else 'numbers'}, its size is "
                f"{_size(shape)} (channels x height x width): expected as many values as that, "
                "and at least one"
            )
        return values.reshape(shape)

    def shape(self, pixels: np.ndarray) -> tuple[int, int, int]:
        """The shape (C, H, W) that a picture has after the transformation.

        Raises:
            DataError: the picture does not fit crop_size, mean_file or mean_value.
        """
        channels, height, width = pixels.shape
        crop = self.param.crop_size
        if crop > min(height, width):
            raise DataError(
                f"crop_size {crop} is larger than the picture, {height} x {width} (height x "
                "width): expected at most its shorter side. Resize the pictures, or crop less."
            )
        if self.mean is not None and self.mean.shape != pixels.shape:
            raise DataError(
                f"the mean file {self.param.mean_file} is {_size(self.mean.shape)}, the picture is "
                f"{_size(pixels.shape)} (channels x height x width, before the crop): expected "
                "equal sizes. Use mean_value, or the mean of pictures of this size."
            )
        if len(self.param.mean_value) not in (0, 1, channels):
            raise DataError(
                f"Specify either 1 mean_value or as many as channels: got "
                f"{len(self.param.mean_value)} for {channels} channels"
            )
        return (channels, crop or height, crop or width)

    def apply(self, pixels: np.ndarray, out: np.ndarray) -> None:
        """Transform one picture, (C, H, W), into ``out``, float32 (C, H, W) of :meth:`shape`; where
        ``out`` is of bytes, all but what :meth:`level` does.

        Raises:
            DataError: as :meth:`shape`; or the result has not the shape of ``out``.
        """
        shape = self.shape(pixels)
        if shape != out.shape:
            raise DataError(
                f"the picture is {_size(shape)} (channels x height x width, after the crop), the "
                f"first one of the batch was {_size(out.shape)}: expected equal sizes. Resize all "
                "to one size, set crop_size, or use batch_size 1."
            )
        mirror = self.param.mirror and self._draw(2) == 1
        top, left = self._corner(pixels.shape[1], pixels.shape[2])
        window = (slice(None), slice(top, top + shape[1]), slice(left, left + shape[2]))
        self._fill(out, pixels, window, mirror)

    def levels(self, pixels: np.ndarray) -> bool:
        """Whether the picture may be left as bytes for :meth:`level`."""
        return pixels.dtype == np.uint8 and self.mean is None and type(self) is DataTransformer

    def level(self, batch: torch.Tensor) -> torch.Tensor:
        """(pixel - mean) * scale in float32 of a batch of bytes (N, C, H, W), on its device: the
        same bits as :meth:`apply` gives there, from a quarter of the memory."""
        out, means = batch.float(), self.param.mean_value
        if len(means) == 1:
            out -= float(np.float32(means[0]))
        elif means:
            if batch.device not in self._means:
                import torch  # not above: the tools that read databases do without PyTorch

                from caffe.device import current

                column = np.array(means, np.float32).reshape(-1, 1, 1)
                device = current()
                there = device.torch_device == batch.device
                self._means[batch.device] = (
                    device.upload(column) if there else torch.from_numpy(column).to(batch.device)
                )
            out -= self._means[batch.device]
        if self.param.scale != 1:
            out *= float(np.float32(self.param.scale))
        return out

    def _fill(
        self, out: np.ndarray, pixels: np.ndarray, window: tuple[slice, ...], mirror: bool
    ) -> None:
        """``out`` becomes that window of the picture, less the mean and scaled."""
        param = self.param
        target = out[:, :, ::-1] if mirror else out
        if out.dtype == np.uint8:
            target[...] = pixels[window]
            return
        if self.mean is not None:
            np.subtract(pixels[window], self.mean[window], out=target, dtype=np.float32)
        elif param.mean_value:
            mean = np.array(param.mean_value, np.float32).reshape(-1, 1, 1)
            np.subtract(pixels[window], mean, out=target, dtype=np.float32)
        else:
            target[...] = pixels[window]
        if param.scale != 1:
            out *= np.float32(param.scale)

    def _corner(self, height: int, width: int) -> tuple[int, int]:
        """First row and column of the crop."""
        crop = self.param.crop_size
        if not crop:
            return 0, 0
        if self.random_crop:
            row = self._draw(height - crop + 1)
            return row, self._draw(width - crop + 1)
        return (height - crop) // 2, (width - crop) // 2

    def _draw(self, n: int) -> int:
        """A number in [0, n)."""
        if self._generator is None:
            raise LayerError("init_rand() must be called before a random transformation")
        return int(self._generator.u32(1)[0]) % n


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(str(n) for n in shape)
