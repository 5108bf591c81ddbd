"""HHA of synthetic rooms: gravity, angles, heights and disparity are known there."""

import numpy as np
import pytest
from scipy.ndimage import maximum_filter, minimum_filter

from data.preparing import hha

SHAPE = (168, 224)
CAMERA = hha.Camera(182.0, 182.0, 111.5, 83.5)


def rotation(pitch, roll):
    """Camera axes → room axes; the camera looks down by ``pitch``, leans by ``roll`` degrees."""
    p, r = np.radians([pitch, roll])
    nod = np.array([[1, 0, 0], [0, np.cos(p), np.sin(p)], [0, -np.sin(p), np.cos(p)]])
    lean = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    return nod.dot(lean)


def room(pitch=0.0, roll=0.0, floor=1.5, ceiling=1.1, side=2.0, back=3.5):
    """Depths in metres, what every pixel shows, and the direction of gravity.

    The camera is ``floor`` above the floor, ``ceiling`` below the ceiling; the walls are ``side``
    away to the left and right, ``back`` ahead.  Surfaces: 0 floor, 1 ceiling, 2 to 4 walls.
    """
    turn = rotation(pitch, roll)
    rays = CAMERA.rays(*SHAPE).dot(turn.T)
    planes = np.array(
        [(0, 1, 0, floor), (0, -1, 0, ceiling), (-1, 0, 0, side), (1, 0, 0, side), (0, 0, 1, back)]
    )
    towards = rays.dot(planes[:, :3].T)
    with np.errstate(divide="ignore"):
        depths = np.where(towards > 1e-9, planes[:, 3] / towards, np.inf)
    return depths.min(axis=2), depths.argmin(axis=2), turn.T.dot((0, 1, 0))


def inner(surface, radius):
    """Pixels whose whole window shows one surface."""
    side = 2 * radius + 1
    return minimum_filter(surface, side) == maximum_filter(surface, side)


def nothing_missing(depth):
    return np.zeros(depth.shape, bool)


def degrees_between(a, b):
    return np.degrees(np.arccos(np.clip(np.dot(a, b), -1, 1)))


@pytest.mark.parametrize("pitch, roll", [(0, 0), (12, 0), (30, 0), (-15, 5), (20, -15), (5, 25)])
def test_gravity_of_a_tilted_camera(pitch, roll):
    depth, _, down = room(pitch, roll)
    normals = hha.normals(depth, nothing_missing(depth), CAMERA, hha.COARSE)
    assert degrees_between(hha.gravity(normals), down) < 1


def test_gravity_from_noisy_depth():
    """Noise grows with the square of the distance, as that of structured light does."""
    depth, _, down = room(18, 6)
    depth = depth + 0.003 * depth**2 * np.random.RandomState(0).randn(*SHAPE)
    normals = hha.normals(depth, nothing_missing(depth), CAMERA, hha.COARSE)
    assert degrees_between(hha.gravity(normals), down) < 1.5


def test_gravity_without_normals_is_where_the_search_starts():
    assert hha.gravity(np.full((4, 5, 3), np.nan)).tolist() == [0, 1, 0]


def test_normals_point_away_from_the_camera():
    depth, surface, _ = room(10, 0, ceiling=0.5)
    normals = hha.normals(depth, nothing_missing(depth), CAMERA, hha.FINE)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=2), 1, atol=1e-12)
    keep = inner(surface, hha.FINE)
    wanted = np.array([(0, 1, 0), (0, -1, 0), (-1, 0, 0), (1, 0, 0), (0, 0, 1)])
    wanted = wanted.dot(rotation(10, 0))[surface]
    for number in range(5):
        of = keep & (surface == number)
        assert of.any()
        np.testing.assert_allclose(normals[of], wanted[of], atol=1e-6)


def test_normals_are_least_squares_planes():
    """Against a general solver, window by window, at the border and beside missing pixels too."""
    rng = np.random.RandomState(1)
    depth = 2 + 0.2 * rng.rand(12, 15)
    missing = rng.rand(12, 15) < 0.3
    camera = hha.Camera(20.0, 22.0, 7.3, 5.1)
    found = hha.normals(depth, missing, camera, 3)
    points = hha.points(depth, camera)
    for y, x in ((0, 0), (5, 7), (11, 14), (3, 1)):
        window = np.s_[max(0, y - 3) : y + 4, max(0, x - 3) : x + 4]
        known = ~missing[window]
        rows = points[window][known] / depth[window][known][:, None]
        plane = np.linalg.lstsq(rows, 1 / depth[window][known], rcond=None)[0]
        plane /= np.linalg.norm(plane)
        plane *= np.sign(plane.dot(points[y, x]))
        np.testing.assert_allclose(found[y, x], plane, atol=1e-9)


def test_missing_pixels_count_for_no_normal():
    depth, surface, _ = room(10, 0)
    missing = np.zeros(SHAPE, bool)
    missing[100:106, 40:46] = True
    missing[5:25, 5:30] = True
    whole = hha.normals(depth, nothing_missing(depth), CAMERA, hha.FINE)
    found = hha.normals(np.where(missing, 77, depth), missing, CAMERA, hha.FINE)
    known = np.isfinite(found).all(axis=2)
    assert not known[10:20, 10:25].any() and known[97:109, 37:49].all()
    keep = known & inner(surface, hha.FINE)
    np.testing.assert_allclose(found[keep], whole[keep], atol=1e-6)


@pytest.mark.parametrize("pitch, roll", [(12, 0), (25, -10)])
def test_encoding_of_a_room(pitch, roll):
    depth, surface, _ = room(pitch, roll)
    found = hha.encode(depth, nothing_missing(depth), CAMERA).astype(int)
    keep = inner(surface, hha.FINE)
    for number, angle in enumerate((0, 180, 90, 90, 90)):
        levels = found[:, :, 2][keep & (surface == number)]
        assert levels.size == 0 or abs(levels - (angle + 38)).max() <= 1
    floor = surface == 0
    assert floor.any() and abs(found[:, :, 1][floor]).max() <= 3  # centimetres
    height = 100 * (1.5 + hha.points(depth, CAMERA).dot(-room(pitch, roll)[2]))
    assert abs(found[:, :, 1] - np.minimum(height, 255)).max() <= 6
    np.testing.assert_array_equal(
        found[:, :, 0], np.minimum(np.floor(310 / np.maximum(depth, 1) + 0.5), 255)
    )


def test_ground_that_is_not_seen_is_taken_to_be_130_centimetres_below():
    depth, _, down = room(-20, floor=1.5)
    points = hha.points(depth, CAMERA)
    heights = hha.heights(points, down)
    assert points.dot(down).max() < hha.SEEN
    np.testing.assert_allclose(heights, 1.3 - points.dot(down))
    depth, _, down = room(30, floor=1.5)
    points = hha.points(depth, CAMERA)
    np.testing.assert_allclose(hha.heights(points, down), 1.5 - points.dot(down), atol=1e-9)


def test_levels_end_at_0_and_255():
    depth, _, _ = room(10, back=9)
    depth[40:44, 50:54] = 0.5
    missing = np.zeros(SHAPE, bool)
    missing[:20, :20] = True
    found = hha.encode(depth, missing, CAMERA)
    assert found.dtype == np.uint8 and found.shape == SHAPE + (3,)
    assert (found[40:44, 50:54, 0] == 255).all()  # nearer than a metre: 310 is too much
    assert (found[:10, :10, 2] == 0).all()  # no normal


def test_cropping_the_camera_is_cropping_the_points():
    depth, _, _ = room(10)
    whole = hha.points(depth, CAMERA)
    part = hha.points(depth[7:, 11:], CAMERA.cropped(7, 11))
    np.testing.assert_allclose(part, whole[7:, 11:], atol=1e-12)


def test_what_is_no_depth_map_is_refused():
    for depth, missing in (
        (np.ones((4, 5)), np.zeros((4, 6), bool)),
        (np.ones((4, 5)), np.zeros((4, 5))),
        (np.ones((4, 5, 1)), np.zeros((4, 5, 1), bool)),
    ):
        with pytest.raises(ValueError, match="expected depth and a bool mask of one shape"):
            hha.encode(depth, missing, CAMERA)
