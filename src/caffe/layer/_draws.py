"""Random numbers drawn on a GPU, where Caffe's own stream would be too slow."""

from __future__ import annotations

import torch

from caffe import rng
from caffe.device import current


class DeviceDraws:
    """One generator for each GPU, seeded anew before every pass with one number of Caffe's stream.

    So the stream's state alone determines what follows, and a CUDA graph that draws from the
    generator draws other numbers at every replay.
    """

    def __init__(self) -> None:
        self._generators: dict[torch.device, torch.Generator] = {}

    def seed(self) -> None:
        """Before a pass; does nothing on the CPU, where layers draw from the stream itself."""
        device = current().torch_device
        if device.type != "cpu":
            generator = self._generators.get(device)
            if generator is None:
                generator = self._generators[device] = torch.Generator(device)
            generator.manual_seed(int(rng.get().u32(1)[0]))

    def on(self, device: torch.device) -> torch.Generator:
        """The generator to draw from in the pass."""
        return self._generators[device]

    def current(self) -> list[torch.Generator]:
        """The generator of the thread's device, if there is one."""
        generator = self._generators.get(current().torch_device)
        return [] if generator is None else [generator]

    def renew(self) -> None:
        """New generators of the same seeds, for after a CUDA graph that could not be captured."""
        for device, old in list(self._generators.items()):
            self._generators[device] = torch.Generator(device)
            self._generators[device].manual_seed(old.initial_seed())
