"""The way from pixels to a sign, against rotation matrices and a pinhole camera."""

from __future__ import annotations

from math import atan, cos, sin

import numpy as np
import pytest

from telltale.signs.draws import Draws
from telltale.signs.pose import DISTANCE, PITCH, RADII, ROLL, YAW, draw_pose, facing
from telltale.signs.rasters import SIDE


def seen(
    radius: float, centre: tuple[float, float], roll: float, yaw: float, pitch: float, place: np.ndarray
) -> np.ndarray:
    """Project a place on the sign, in radii, with sines and cosines of the angles themselves."""
    a, b, c = (2 * atan(tangent) for tangent in (roll, yaw, pitch))
    about_sight = np.array([[cos(a), -sin(a), 0], [sin(a), cos(a), 0], [0, 0, 1]])
    about_vertical = np.array([[cos(b), 0, sin(b)], [0, 1, 0], [-sin(b), 0, cos(b)]])
    about_horizontal = np.array([[1, 0, 0], [0, cos(c), -sin(c)], [0, sin(c), cos(c)]])
    x, y, z = about_sight @ about_vertical @ about_horizontal @ np.array([*place, 0.0])
    return np.array(centre) + radius * DISTANCE * np.array([x, y]) / (DISTANCE + z)


def test_the_way_back_undoes_a_pinhole_camera() -> None:
    values = np.random.default_rng(0)
    for _ in range(20):
        radius, centre = values.uniform(10, 20), tuple(values.uniform(18, 30, 2))
        angles = values.uniform(-0.35, 0.35, 3)
        pose = facing(radius, centre, *angles)
        place = values.uniform(-1, 1, 2)
        x, y = seen(radius, centre, *angles, place)
        u, v, w = (np.array(row) @ (x, y, 1.0) for row in pose.back)
        assert (u / w, v / w) == pytest.approx(tuple(place))


def test_cells_are_looked_up_at_their_middles() -> None:
    u, v = facing(12.0, (24.0, 20.0), 0.0, 0.0, 0.0).on_sign(96)
    assert np.broadcast_shapes(u.shape, v.shape) == (96, 96)
    u, v = np.broadcast_arrays(u, v)
    assert (u[40, 47], u[40, 48]) == pytest.approx((-0.25 / 12, 0.25 / 12))
    assert (v[39, 48], v[40, 48]) == pytest.approx((-0.25 / 12, 0.25 / 12))
    assert u[40, 72] == pytest.approx(12.25 / 12)


def test_the_farther_edge_is_smaller() -> None:
    left = seen(15, (24, 24), 0, 0.3, 0, np.array([-1, -0.5])) - seen(15, (24, 24), 0, 0.3, 0, np.array([-1, 0.5]))
    right = seen(15, (24, 24), 0, 0.3, 0, np.array([1, -0.5])) - seen(15, (24, 24), 0, 0.3, 0, np.array([1, 0.5]))
    assert abs(right[1]) != pytest.approx(abs(left[1]), rel=0.1)


def test_poses_stay_within_their_bounds_and_use_them() -> None:
    sizes, places = [], []
    for index in range(300):
        pose = draw_pose(Draws(0, index))
        u, v = np.broadcast_arrays(*pose.on_sign(SIDE))
        inside = u**2 + v**2 < 1
        sizes.append(np.sqrt(inside.sum() / np.pi))
        down, across = np.nonzero(inside)
        places.append((across.mean() + 0.5, down.mean() + 0.5))
        assert not inside.all() and inside[16:32, 16:32].any()
    assert min(sizes) > 0.7 * RADII[0] and max(sizes) < 1.1 * RADII[1]
    assert np.ptp(sizes) > 6 and np.ptp(places, axis=0).min() > 6
    assert max(ROLL, YAW, PITCH) < 0.4
