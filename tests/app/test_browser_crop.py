"""The square on a photograph in a real browser: dragged with the mouse, resized at a corner, moved by keys."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from playwright.sync_api import expect

from support.browser import PATIENCE, WIDE, Visit
from telltale.data.photographs import find_photograph, photograph_for
from telltale.data.uploads import Square
from telltale_app.link_images import carry

pytestmark = pytest.mark.slow

CANVAS = ".crop canvas"
SHAPE = (3, 32, 32)


def cut(square: Square) -> npt.NDArray[np.float32]:
    """Return what the model sees of this square of the photograph."""
    chelsea = find_photograph("chelsea")
    assert chelsea is not None
    return photograph_for(replace(chelsea, square=square), SHAPE)


def rests_at(visit: Visit, square: Square) -> None:
    """Wait until the case's image is this square of the photograph, and the sliders say so.

    The sliders are waited for too: the browser draws a new one before it takes the old one away.
    """
    reference = carry(cut(square), "chelsea")
    visit.page.wait_for_function("image => location.href.includes(image)", arg=reference, timeout=PATIENCE)
    visit.settle()
    for name, value in (("side", square.side), ("left", square.left), ("top", square.top)):
        slider = visit.page.locator(f'.st-key-crop-{name}-chelsea input[type="range"]')
        expect(slider, name).to_have_count(1, timeout=PATIENCE)
        expect(slider, name).to_have_value(str(value), timeout=PATIENCE)


def test_the_square_is_dragged_and_resized_on_the_photograph(open_tab: Any) -> None:
    visit: Visit = open_tab("?bundle=cifar10", WIDE)
    page = visit.page
    page.wait_for_selector(CANVAS, timeout=PATIENCE)
    visit.settle()
    page.locator(CANVAS).scroll_into_view_if_needed()
    box = page.locator(CANVAS).bounding_box()
    scale = box["width"] / 451  # the photograph is as wide as that

    def drag(start: tuple[float, float], end: tuple[float, float]) -> None:
        for act, (x, y) in ((page.mouse.down, start), (page.mouse.up, end)):
            page.mouse.move(box["x"] + x * scale, box["y"] + y * scale, steps=3)
            act()

    drag((357, 297), (257, 197))  # the lower right corner, a little inside: the upper left one stays
    rests_at(visit, Square(60, 0, 200))
    drag((160, 100), (210, 140))
    rests_at(visit, Square(110, 40, 200))
    page.locator(CANVAS).focus()
    page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("ArrowDown")
    rests_at(visit, Square(109, 46, 200))
    visit.check()
