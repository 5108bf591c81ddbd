"""HHA, depth in three channels: horizontal disparity, height above ground, angle with gravity.

After S. Gupta, R. Girshick, P. Arbeláez, J. Malik, "Learning Rich Features from RGB-D Images for
Object Detection and Segmentation", ECCV 2014, and, for gravity, Gupta et al., CVPR 2013.

    encode(depth, missing, NYUD.cropped(45, 40))   → uint8 (H, W, 3)

Depths are in metres.  The camera's axes are x to the right, y down, z ahead.
"""

from typing import NamedTuple

import numpy as np
from scipy.ndimage import correlate1d

__all__ = ["NYUD", "Camera", "encode", "gravity", "heights", "normals", "points"]

#: Half the side of the windows that planes are fitted to, in pixels: for the angle, for gravity.
FINE, COARSE = 3, 10

#: Gravity: how far a normal may be from vertical or horizontal, in degrees, and how often to
#: estimate with that limit.
ESTIMATES = ((45.0, 5), (15.0, 5))

#: A ground that is seen lies this far below the camera, in metres; where nothing in the picture
#: does, it is taken to be GROUND below.
SEEN, GROUND = 0.9, 1.3

#: Disparity is DISPARITY / depth; nearer than NEAREST, in metres, counts as that near.
DISPARITY, NEAREST = 310.0, 1.0

#: The angle of 90 degrees, a wall, is this grey level.
WALL = 128


class Camera(NamedTuple):
    """A pinhole camera: focal lengths and principal point in pixels, the first pixel being 0."""

    fx: float
    fy: float
    cx: float
    cy: float

    def cropped(self, top: int, left: int) -> "Camera":
        """The camera of an image without its first ``top`` rows and ``left`` columns."""
        return self._replace(cx=self.cx - left, cy=self.cy - top)

    def rays(self, height: int, width: int) -> np.ndarray:
        """The direction of every pixel, scaled to z = 1: float64 (H, W, 3)."""
        rays = np.ones((height, width, 3))
        rays[:, :, 0] = (np.arange(width) - self.cx) / self.fx
        rays[:, :, 1] = ((np.arange(height) - self.cy) / self.fy)[:, None]
        return rays


#: The colour camera of NYUDv2, from the dataset's toolbox, where the first pixel is 1.
NYUD = Camera(
    518.85790117450188, 519.46961112127485, 325.58244941119034 - 1, 253.73616633400465 - 1
)


def points(depth: np.ndarray, camera: Camera) -> np.ndarray:
    """The point of every pixel in metres: (H, W) → float64 (H, W, 3)."""
    return camera.rays(*depth.shape) * depth[:, :, None]


def normals(depth: np.ndarray, missing: np.ndarray, camera: Camera, radius: int) -> np.ndarray:
    """The unit normal of the surface around every pixel, away from the camera: (H, W, 3).

    A plane n·p = 1 is fitted to the measured pixels of a square of 2 ``radius`` + 1.  With p = z r,
    r the pixel's ray, that is n·r = 1/z: linear in disparity, whose noise does not grow with
    distance.  NaN where the pixels do not fix a plane, ``missing`` ones not being counted.
    """
    known = ~missing & np.isfinite(depth) & (depth > 0)
    rays = camera.rays(*depth.shape)
    x, y, one = (rays[:, :, i] * known for i in range(3))
    disparity = np.where(known, 1 / np.where(known, depth, 1), 0)
    xx, xy, yy, sx, sy, count, bx, by, bz = (
        _window_sums(values, radius)
        for values in (x * x, x * y, y * y, x, y, one, x * disparity, y * disparity, disparity)
    )
    # Cramer's rule for the symmetric matrix (xx xy sx, xy yy sy, sx sy count). It is not divided by
    # the determinant, for the length is taken out anyhow.
    cxx, cxy, cxz = yy * count - sy * sy, sx * sy - xy * count, xy * sy - sx * yy
    cyy, cyz, czz = xx * count - sx * sx, xy * sx - xx * sy, xx * yy - xy * xy
    normal = np.stack(
        (
            cxx * bx + cxy * by + cxz * bz,
            cxy * bx + cyy * by + cyz * bz,
            cxz * bx + cyz * by + czz * bz,
        ),
        axis=-1,
    )
    determinant = xx * cxx + xy * cxy + sx * cxz
    length = np.sqrt(np.einsum("hwi,hwi->hw", normal, normal))
    fixed = (determinant > 1e-13 * xx * yy * count) & (count >= 3) & (length > 0)
    away = np.where(np.einsum("hwi,hwi->hw", normal, rays) >= 0, 1.0, -1.0)
    scale = np.where(fixed, away / np.where(fixed, length, 1), np.nan)
    return normal * scale[:, :, None]


def _window_sums(values: np.ndarray, radius: int) -> np.ndarray:
    """The sum over the square around every pixel, cut off at the image's border."""
    ones = np.ones(2 * radius + 1)
    for axis in (0, 1):
        values = correlate1d(values, ones, axis=axis, mode="constant")
    return values


def gravity(normal: np.ndarray, start=(0.0, 1.0, 0.0)) -> np.ndarray:
    """The direction of gravity, a unit vector (3,), from the normals (H, W, 3).

    Gravity is taken to be as parallel as can be to the normals near it (floors, tables) and as
    perpendicular to those that are nearly so already (walls), starting from ``start``.
    """
    normal = normal.reshape(-1, 3)
    normal = normal[np.isfinite(normal).all(axis=1)]
    direction = np.asarray(start, float)
    for limit, times in ESTIMATES:
        for _ in range(times):
            along = np.abs(normal.dot(direction))
            level = normal[along > np.cos(np.radians(limit))]
            upright = normal[along < np.sin(np.radians(limit))]
            if not (len(level) or len(upright)):
                return direction
            _, vectors = np.linalg.eigh(upright.T.dot(upright) - level.T.dot(level))
            found = vectors[:, 0]  # of the smallest eigenvalue
            direction = found if found.dot(direction) >= 0 else -found
    return direction


def heights(point: np.ndarray, down: np.ndarray) -> np.ndarray:
    """Height above the ground in metres, (H, W); ``down`` is the direction of gravity."""
    height = -point.dot(down)
    lowest = height.min()
    return height - (lowest if lowest <= -SEEN else -GROUND)


def encode(depth: np.ndarray, missing: np.ndarray, camera: Camera) -> np.ndarray:
    """Disparity, height in centimetres and angle in degrees as grey levels: uint8 (H, W, 3).

    ``depth`` is in metres, with a value in every pixel; ``missing`` says which of them were filled
    in, so that no plane is fitted to them.  Where there is no normal, the angle's level is 0.
    """
    if depth.ndim != 2 or missing.shape != depth.shape or missing.dtype != bool:
        raise ValueError(
            f"expected depth and a bool mask of one shape (H, W); received "
            f"{depth.shape} and {missing.dtype} {missing.shape}"
        )
    depth = depth.astype(np.float64)
    down = gravity(normals(depth, missing, camera, COARSE))
    vertical = normals(depth, missing, camera, FINE).dot(down)
    angle = np.degrees(np.arccos(np.clip(vertical, -1, 1)))
    channels = (
        DISPARITY / np.maximum(depth, NEAREST),
        100 * heights(points(depth, camera), down),
        angle + WALL - 90,
    )
    levels = np.floor(np.nan_to_num(np.stack(channels, axis=-1)) + 0.5)
    return np.clip(levels, 0, 255).astype(np.uint8)
