"""The compared pictures in a real browser: one pixel is read out in all three, and they are enlarged as one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from support.browser import PATIENCE, WIDE, Visit, case_query
from support.shipped import correct_test_ids, images_of

pytestmark = pytest.mark.slow


@pytest.fixture
def visit(open_tab: Any) -> Visit:
    opened: Visit = open_tab(f"?{case_query(int(correct_test_ids(9)[4]))}", WIDE)
    opened.page.wait_for_selector('.linked canvas[aria-label^="Attacked image"]', timeout=PATIENCE)
    opened.settle()
    return opened


def read_out(visit: Visit) -> list[str]:
    visit.page.wait_for_timeout(200)
    return [str(said.inner_text()) for said in visit.page.locator(".linked output").all()]


def test_a_pixel_is_read_out_in_all_three_pictures(visit: Visit) -> None:
    image = images_of([int(correct_test_ids(9)[4])])[0]
    box = visit.page.locator(".linked canvas").first.bounding_box()
    side = box["width"] / 32
    for column, row in ((9, 20), (31, 0)):
        visit.page.mouse.move(box["x"] + (column + 0.5) * side, box["y"] + (row + 0.5) * side)
        places, levels = zip(*(said.split(": ") for said in read_out(visit)), strict=True)
        assert set(places) == {f"{column}, {row}"}
        natural, change, attacked = (int(level.replace("−", "-")) for level in levels)
        assert natural == round(float(image[0, row, column]) * 255) and natural + change == attacked
    visit.page.mouse.move(2, 2)
    assert read_out(visit) == ["", "", ""]


def test_they_are_enlarged_together_and_by_keyboard(visit: Visit) -> None:
    page, canvas = visit.page, visit.page.locator(".linked canvas").first
    box = canvas.bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    seen = "canvas => canvas.toDataURL()"
    whole = [other.evaluate(seen) for other in page.locator(".linked canvas").all()]
    page.mouse.move(*middle)
    page.mouse.wheel(0, -100)  # scrolls the page, as nobody has chosen a picture
    canvas.click()
    page.mouse.wheel(0, -100)
    page.keyboard.press("Escape")
    page.mouse.wheel(0, -100)
    page.wait_for_timeout(300)
    larger = [other.evaluate(seen) for other in page.locator(".linked canvas").all()]
    assert all(before != after for before, after in zip(whole, larger, strict=True))
    page.keyboard.press("ArrowRight")
    first = read_out(visit)
    page.keyboard.press("ArrowRight")
    then = read_out(visit)
    columns = [[int(said.split(",")[0]) for said in line] for line in (first, then)]
    assert np.ptp(columns[0]) == 0 and columns[1] == [column + 1 for column in columns[0]]
    page.keyboard.press("Escape")
    page.mouse.move(2, 2)
    assert read_out(visit) == ["", "", ""]
    assert [other.evaluate(seen) for other in page.locator(".linked canvas").all()] == whole
