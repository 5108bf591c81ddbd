"""The sound of a video, copied beside the pictures of its overlay."""

from fractions import Fraction
from typing import Any, Optional

__all__ = ["Sound"]

#: What MP4 holds as it is; other sound is encoded anew.
COPIED = ("aac", "ac3", "alac", "eac3", "flac", "mp3", "opus")
ENCODED = "aac"
LAYOUTS = {1: "mono", 2: "stereo"}  # some files do not say which of their channels is which


class Sound:
    """One sound stream on its way into another container.

    Packets are taken as they are read, and passed on when there is a container. ``origin`` is the
    time of the first picture in seconds, from which the overlay's times count; sound before it is
    dropped. ``problem`` says why there is no sound, None where there is.
    """

    def __init__(self, av: Any, stream: Any) -> None:
        self.stream = stream
        self.origin = Fraction(0)
        self.problem: Optional[str] = None
        self._av, self._waiting, self._last = av, [], None  # type: Any, list[Any], Optional[int]
        self._container: Any = None
        self._out: Any = None
        self._resampler: Any = None

    def take(self, packet: Any) -> None:
        """A packet of the stream, as it was read."""
        if self.problem is None and packet.pts is not None and packet.size:
            self._waiting.append(packet)

    def open(self, container: Any) -> None:
        """Add the stream to the container that the packets are to go to."""
        self._container = container
        try:
            if self.stream.codec_context.name in COPIED:
                copy = getattr(container, "add_stream_from_template", None)  # PyAV 14 on
                self._out = (
                    copy(self.stream) if copy else container.add_stream(template=self.stream)
                )
            else:
                context = self.stream.codec_context
                self._out = container.add_stream(ENCODED, rate=context.sample_rate)
                layout = LAYOUTS.get(context.layout.nb_channels, context.layout.name)
                self._out.codec_context.layout = layout
                self._resampler = self._av.AudioResampler(
                    format="fltp", layout=layout, rate=context.sample_rate
                )
        except (self._av.error.FFmpegError, ValueError) as error:
            self._give_up(error)

    def pass_on(self) -> None:
        """Write what has been taken. Raises FFmpegError where the file cannot be written."""
        waiting, self._waiting = self._waiting, []
        for packet in waiting:
            offset = round(self.origin / Fraction(packet.time_base))
            if self._resampler is not None:
                self._encode(packet, offset)
            elif packet.pts >= offset and (self._last is None or packet.dts > self._last):
                self._last = packet.dts
                packet.pts, packet.dts = packet.pts - offset, packet.dts - offset
                packet.stream = self._out
                self._container.mux(packet)

    def close(self) -> None:
        """Write the rest."""
        if self.problem is None and self._container is not None:
            self.pass_on()
            if self._resampler is not None:
                for frame in self._resampler.resample(None):
                    self._container.mux(self._out.encode(frame))
                self._container.mux(self._out.encode(None))

    def _encode(self, packet: Any, offset: int) -> None:
        try:
            frames = packet.decode()
        except self._av.error.FFmpegError:
            return  # a damaged piece of sound is a gap, the pictures go on
        for frame in frames:
            if frame.pts is None or frame.pts < offset:
                continue
            frame.pts -= offset
            for part in self._resampler.resample(frame):
                self._container.mux(self._out.encode(part))

    def _give_up(self, error: Exception) -> None:
        self.problem = f"{self.stream.codec_context.name} cannot be put into MP4 ({error})"
        self._waiting = []
