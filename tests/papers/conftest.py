"""A folder of CamVid's layout for the studies."""

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def camvid(tmp_path_factory):
    """A folder as data/camvid.py lays it out, five images of noise in each split."""
    folder = tmp_path_factory.mktemp("camvid")
    rng = np.random.RandomState(1)
    for split in ("train", "val"):
        for part in (split, split + "annot"):
            (folder / part).mkdir()
        for i in range(5):
            pixels = rng.randint(0, 256, (36, 48, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(str(folder / split / f"{i}.png"))
            classes = np.repeat(rng.randint(0, 12, (36, 6)).astype(np.uint8), 8, axis=1)
            Image.fromarray(classes).save(str(folder / (split + "annot") / f"{i}.png"))
        (folder / (split + ".txt")).write_text("".join(f"{i}\n" for i in range(5)))
    return str(folder)
