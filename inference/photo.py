"""Any image file as upright 8-bit RGB."""

import numpy as np
from segdata.images import read_rgb

__all__ = ["read_photo"]


def read_photo(path: str) -> np.ndarray:
    """The image in ``path`` as it should be seen: uint8 (H, W, 3), EXIF rotation applied.

    Grey, palette, transparent (laid over white), CMYK and 16-bit images are converted; of an
    animation it is the first frame.  Raises segdata's DataError, which names the file.
    """
    return np.array(read_rgb(path, upright=True))
