"""Shapes against the areas that closed forms give them, and points of arcs against the equation of their ellipse."""

from __future__ import annotations

from math import atan2, pi, sqrt

import numpy as np
import pytest

from telltale.signs.outlines import diamond, octagon, square, triangle
from telltale.signs.shapes import Disc, Polygon, Segment, Shape, arc, mirrored, rounded, stroke, turned

FINE = 1024
MIDDLES = (2.0 * np.arange(FINE) + (1 - FINE)) / FINE


def covered(*shapes: Shape) -> np.ndarray:
    return np.logical_or.reduce([shape.covers(MIDDLES[None, :], MIDDLES[:, None]) for shape in shapes])


def area(*shapes: Shape) -> float:
    return float(covered(*shapes).mean()) * 4.0


@pytest.mark.parametrize("radius", [0.05, 0.33, 1.0])
def test_a_disc_covers_pi_r_squared(radius: float) -> None:
    assert area(Disc(0.0, 0.0, radius)) == pytest.approx(pi * radius**2, rel=2e-3)


def test_a_regular_octagon_covers_8_times_root_2_less_1() -> None:
    assert area(octagon(0.9)) == pytest.approx(8 * (sqrt(2) - 1) * 0.9**2, rel=1e-3)
    sides = [
        np.hypot(*np.subtract(one, other)) for one, other in zip(octagon(1).points, octagon(1).points[1:], strict=False)
    ]
    assert sides == pytest.approx([2 * (sqrt(2) - 1)] * 7)


@pytest.mark.parametrize("upright", [True, False])
def test_a_triangle_with_round_corners_covers_what_its_inner_one_and_a_strip_round_it_do(upright: bool) -> None:
    inradius, corner = 0.6, 0.1
    side = 2 * sqrt(3) * (inradius - corner)
    expected = sqrt(3) / 4 * side**2 + 3 * side * corner + pi * corner**2
    assert area(*triangle(inradius, corner, upright)) == pytest.approx(expected, rel=1e-3)


def test_squares_with_round_corners_upright_and_on_a_corner() -> None:
    assert area(*square(0.8, 0.1)) == pytest.approx(1.6**2 - (4 - pi) * 0.1**2, rel=2e-3)
    assert area(*diamond(0.9, 0.1)) == pytest.approx(2 * 0.9**2 - (4 - pi) * 0.1**2, rel=2e-3)


def test_a_stroke_is_as_long_as_its_points_say_and_cut_straight_at_both_ends() -> None:
    assert area(Segment((-0.6, -0.2), (0.5, 0.3), 0.2)) == pytest.approx(np.hypot(1.1, 0.5) * 0.2, rel=2e-3)
    assert area(Segment((-0.6, -0.2), (0.5, 0.3), 0.2, (False, False))) == pytest.approx(
        np.hypot(1.1, 0.5) * 0.2 + pi * 0.1**2, rel=2e-3
    )
    # A right angle: two arms that share a square, whose outer corner is a quarter of a disc.
    bent = stroke(((-0.5, 0.5), (-0.5, -0.5), (0.5, -0.5)), 0.2)
    assert area(*bent) == pytest.approx(2 * 1.0 * 0.2 - 0.1**2 + pi * 0.1**2 / 4, rel=5e-3)
    assert not covered(*bent)[MIDDLES > 0.501].any() and not covered(*bent)[:, MIDDLES > 0.501].any()


def test_a_closed_stroke_along_a_circle_is_a_ring() -> None:
    points = arc((0.0, 0.0), (0.6, 0.6), 0, 4)[:-1]
    ring = stroke((*points, points[0]), 0.2)
    assert area(*ring) == pytest.approx(pi * (0.7**2 - 0.5**2), rel=5e-3)


def test_a_polygon_that_is_not_convex_is_taken_as_drawn() -> None:
    notched = Polygon(((-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (0.0, 0.0), (-0.5, 0.5)))
    assert area(notched) == pytest.approx(1.0 - 0.25, rel=3e-3)
    assert not notched.covers(np.array(0.0), np.array(0.3)) and notched.covers(np.array(0.0), np.array(-0.3))


def test_every_shape_lies_in_its_box_which_is_no_larger_than_needed() -> None:
    shapes = (
        Disc(0.1, -0.2, 0.3),
        octagon(0.7),
        Segment((-0.5, 0.1), (0.4, 0.1), 0.3),
        *rounded(octagon(0.5).points, 0.2),
    )
    for shape in shapes:
        left, top, right, bottom = shape.box
        down, across = np.nonzero(covered(shape))
        assert left - 1e-9 <= MIDDLES[across.min()] and MIDDLES[across.max()] <= right + 1e-9
        assert top - 1e-9 <= MIDDLES[down.min()] and MIDDLES[down.max()] <= bottom + 1e-9
    tight = Disc(0.1, -0.2, 0.3).box
    assert tight == pytest.approx((-0.2, -0.5, 0.4, 0.1))


@pytest.mark.parametrize(("start", "end"), [(0, 4), (-1, 1), (-0.28, -1.05), (1.75, -0.3), (-3, -1)])
def test_an_arc_lies_on_its_ellipse_and_goes_from_start_to_end_in_nearly_even_steps(start: float, end: float) -> None:
    centre, radii = (0.1, -0.2), (0.5, 0.3)
    points = (np.array(arc(centre, radii, start, end)) - centre) / radii
    assert (points**2).sum(1) == pytest.approx(np.ones(len(points)))
    angles = np.unwrap([atan2(y, x) for x, y in points]) / (pi / 2)
    assert angles[-1] - angles[0] == pytest.approx(end - start, abs=0.02)
    assert (angles[0] - start + 2) % 4 - 2 == pytest.approx(0.0, abs=0.01)
    steps = np.diff(angles)
    assert (np.sign(steps) == np.sign(end - start)).all() and abs(steps).max() < 1.1 * abs(steps).min()


def test_placing_scales_about_the_origin_then_moves() -> None:
    for shape in (Disc(0.2, 0.1, 0.3), octagon(0.5), Segment((0.0, 0.1), (0.4, 0.3), 0.1)):
        smaller = shape.placed((0.2, -0.3), 0.5)
        assert area(smaller) == pytest.approx(area(shape) / 4, rel=1e-2)
        assert smaller.box[0] == pytest.approx(0.2 + 0.5 * shape.box[0])
        assert smaller.box[1] == pytest.approx(-0.3 + 0.5 * shape.box[1])
        assert (
            smaller.covers(0.2 + 0.5 * MIDDLES[None, :], -0.3 + 0.5 * MIDDLES[:, None]) == covered(shape)
        ).mean() > 0.9999


def test_turning_is_a_rotation_and_mirroring_exchanges_left_and_right() -> None:
    points = ((0.3, 0.1), (-0.2, 0.4))
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    assert np.array(turned(points, 0.6, 0.8)) == pytest.approx(np.array(points) @ turn.T)
    assert mirrored(points) == ((-0.3, 0.1), (0.2, 0.4))
