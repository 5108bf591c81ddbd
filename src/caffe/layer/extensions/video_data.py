"""VideoData: the frames of a video file (SSD)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from caffe.data.data_transformer import DataTransformer
from caffe.errors import DataError, Error, LayerError
from caffe.layer import register
from caffe.layer._prefetching import PictureSource, PrefetchingLayer
from caffe.layer.extensions._ssd_pictures import AnnotatedTransformer

NOTHING = np.empty((0, 7), np.float32)  # the objects of a frame


@register("VideoData")
class VideoData(PrefetchingLayer):
    """The frames of ``video_data_param.video_file`` in order, each once, after every frame
    ``skip_frames`` (0) left out; behind the last one an error says that the video has ended.  What
    is left at the end and fills no batch is left out too.

    ``data_param``: batch_size; ``transform_param`` as of AnnotatedData.  Cameras (``video_type``
    WEBCAM, the default, and ``device_id``) are refused: give the net an Input and fill it.  Reads
    what FFmpeg reads, by the package av (the extra ``video``).

    Top: data (batch_size, 3, H, W) in B G R.
    """

    log_name = "video_data_layer"

    @property
    def batch_size(self) -> int:
        return self.param.data_param.batch_size

    def transformer(self) -> DataTransformer:
        return AnnotatedTransformer(self.param.transform_param, self.phase)

    def source(self, transformer: DataTransformer) -> Frames:
        p = self.param.video_data_param
        if p.video_type == p.WEBCAM:
            raise LayerError(
                "a camera (video_type: WEBCAM) is not read: write an Input layer and fill its blob "
                "with frames, or set video_type: VIDEO and video_file"
            )
        if not p.video_file:
            raise LayerError("needs video_file")
        return Frames(transformer, self.batch_size, p.video_file, p.skip_frames)


class Frames(PictureSource):
    """The frames of a video file."""

    transformer: AnnotatedTransformer

    def __init__(self, transformer: Any, batch_size: int, path: str, skip: int) -> None:
        super().__init__(transformer, batch_size)
        self._path, self._step = path, skip + 1
        self._number = 0  # of the frame here, from 0 on
        self._begin()

    def _begin(self) -> None:
        self._frames = _decoded(self._path)
        self._here = next(self._frames, None)
        if self._here is None:
            raise DataError(f"{self._path} has no frames")

    def picture(self) -> tuple[np.ndarray, int]:
        if self._here is None:
            raise DataError(f"the video has ended, with {self._number} frames")
        return self._here, 0

    def advance(self) -> None:
        for _ in range(self._step):
            if self._here is None:
                return
            self._here = next(self._frames, None)
            self._number += 1

    def name(self) -> str:
        return f"{self._path}, frame {self._number}"

    def position(self) -> Any:
        return self._number

    def set_position(self, position: Any) -> None:
        if position < self._number:
            self._number = 0
            self._begin()
        while self._number < position and self._here is not None:
            self._here = next(self._frames, None)
            self._number += 1

    def shapes(self) -> Sequence[tuple[int, ...]]:
        try:
            return ((self.batch_size, *self.transformer.size(self.picture()[0])),)
        except Error as error:
            raise DataError(f"{self.name()}: {error}") from error

    def batch(self) -> tuple[Any, ...]:
        data = self._empty(0)
        for item in range(self.batch_size):
            try:
                pixels, objects = self.transformer.changed(self.picture()[0], NOTHING)
                if item == 0:
                    data = self._empty(self.batch_size, *self.transformer.shape(pixels))
                self.transformer.finish(pixels, objects, data[item].numpy())
            except Error as error:
                raise DataError(f"{self.name()}: {error}") from error
            self.advance()
        return (data,)


def _decoded(path: str) -> Iterator[np.ndarray]:
    """The frames of a video file, uint8 (3, H, W) in B G R."""
    try:
        import av
    except ImportError as error:
        raise DataError(
            "reading videos needs the package av: pip install av, or this project's extra, "
            "pip install 'pycaffe-torch[video]'"
        ) from error
    try:
        with av.open(path) as file:
            if not file.streams.video:
                raise DataError(f"{path} has no pictures, only sound")
            for frame in file.decode(video=0):
                yield np.ascontiguousarray(frame.to_ndarray(format="bgr24").transpose(2, 0, 1))
    except (av.FFmpegError, OSError) as error:
        raise DataError(f"cannot read the video {path}: {error}") from error
