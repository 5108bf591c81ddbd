"""Any image file as upright 8-bit RGB."""

import numpy as np
from PIL import ImageOps
from segdata.images import open_image, to_rgb

__all__ = ["read_photo"]


def read_photo(path: str) -> np.ndarray:
    """The image in ``path`` as it should be seen: uint8 (H, W, 3), EXIF rotation applied.

    Grey, palette, transparent (laid over white), CMYK and 16-bit images are converted; of an
    animation it is the first frame.  Raises segdata's DataError, which names the file.
    """
    with open_image(path) as image:
        return np.array(to_rgb(ImageOps.exif_transpose(image)))
