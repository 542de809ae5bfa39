"""Digits and the letters of STOP as strokes, in the manner of road lettering; drawn for this project, from no font.

A character is one unit high, from y = -0.5 to 0.5, and stands on the middle of its own width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from telltale.signs.shapes import Point, Polygon, Shape, arc, moved, stroke, turned

WEIGHT = 0.16  # width of every stroke
GAP = 0.1  # between two characters
_TOP, _BOTTOM = -0.5 + WEIGHT / 2, 0.5 - WEIGHT / 2  # of the middle of a stroke


@dataclass(frozen=True)
class Character:
    """Strokes and plane parts of one character, all in one colour.

    Attributes
    ----------
    half_width : float
        To the outer edge of its strokes.
    strokes, parts : tuple
        Points along the middle of strokes, and outlines.
    """

    half_width: float
    strokes: tuple[tuple[Point, ...], ...] = ()
    parts: tuple[tuple[Point, ...], ...] = ()


def _closed(points: tuple[Point, ...]) -> tuple[Point, ...]:
    return (*points, points[0])


def _ring(centre: Point, radii: Point) -> tuple[Point, ...]:
    return _closed(arc(centre, radii, 0.0, 4.0)[:-1])


_OVAL = _closed((*arc((0, -0.2), (0.21, 0.22), -2, 0), *arc((0, 0.2), (0.21, 0.22), 0, 2)))
_SIX = (
    _ring((0, 0.18), (0.21, 0.24)),
    ((-0.21, 0.18), *arc((0, -0.16), (0.21, 0.26), -2, -0.3)),
)
_ONE = ((0.13, -0.5), (0.13, 0.5), (-0.03, 0.5), (-0.03, -0.29), (-0.17, -0.18), (-0.17, -0.36), (0.01, -0.5))

CHARACTERS: Mapping[str, Character] = {
    "0": Character(0.29, (_OVAL,)),
    "1": Character(0.19, parts=(_ONE,)),
    "2": Character(0.29, ((*arc((0, -0.2), (0.21, 0.22), -1.9, 0.4), (-0.19, _BOTTOM), (0.29, _BOTTOM)),)),
    "3": Character(
        0.29,
        (
            (*arc((0, -0.22), (0.19, 0.2), -1.75, 1), *arc((0, 0.2), (0.21, 0.22), -1, 1.75)[1:]),
            ((-0.1, -0.02), (0, -0.02)),
        ),
    ),
    "4": Character(0.3, (((0.04, -0.47), (-0.22, 0.2), (0.3, 0.2)), ((0.12, -0.1), (0.12, 0.5)))),
    "5": Character(0.29, (((0.24, _TOP), (-0.16, _TOP), (-0.19, -0.01), *arc((0, 0.16), (0.21, 0.26), -1.55, 1.75)),)),
    "6": Character(0.29, _SIX),
    "7": Character(0.28, (((-0.28, _TOP), (0.18, _TOP), (-0.09, 0.49)),)),
    "8": Character(0.29, (_ring((0, -0.22), (0.18, 0.2)), _ring((0, 0.2), (0.21, 0.22)))),
    "9": Character(0.29, tuple(turned(line, -1.0, 0.0) for line in _SIX)),
    "S": Character(0.28, ((*arc((0, -0.21), (0.2, 0.21), -0.2, -3), *arc((0, 0.21), (0.2, 0.21), -1, 1.8)[1:]),)),
    "T": Character(0.28, (((-0.28, _TOP), (0.28, _TOP)), ((0, -0.5), (0, 0.5)))),
    "O": Character(0.3, (_closed((*arc((0, -0.19), (0.22, 0.23), -2, 0), *arc((0, 0.19), (0.22, 0.23), 0, 2))),)),
    "P": Character(
        0.27, (((-0.19, -0.5), (-0.19, 0.5)), ((-0.19, _TOP), *arc((0.0, -0.19), (0.19, 0.23), -1, 1), (-0.19, 0.04)))
    ),
}


def written(text: str, centre: Point, height: float, narrow: float = 1.0) -> tuple[Shape, ...]:
    """Return the shapes of a word or a number.

    Parameters
    ----------
    text : str
        Of `CHARACTERS`.
    centre : pair of float
    height : float
    narrow : float
        How much of their width characters keep; strokes keep all of theirs.
    """
    widths = [2 * narrow * CHARACTERS[letter].half_width for letter in text]
    left = -(sum(widths) + GAP * (len(text) - 1)) / 2
    shapes: list[Shape] = []
    for letter, width in zip(text, widths, strict=True):
        shapes += _at(CHARACTERS[letter], left + width / 2, narrow)
        left += width + GAP
    return tuple(shape.placed(centre, height) for shape in shapes)


def _at(character: Character, x: float, narrow: float) -> list[Shape]:
    shapes: list[Shape] = [Polygon(_narrowed(part, x, narrow)) for part in character.parts]
    for line in character.strokes:
        shapes += stroke(_narrowed(line, x, narrow), WEIGHT)
    return shapes


def _narrowed(points: tuple[Point, ...], x: float, narrow: float) -> tuple[Point, ...]:
    return moved(tuple((narrow * across, down) for across, down in points), (x, 0.0))
