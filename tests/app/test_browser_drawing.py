"""Drawing in a real browser, by mouse and keys: what is painted is what is read, and nothing else changes."""

from __future__ import annotations

import base64
import io
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from support.browser import NARROW, PATIENCE, WIDE, Visit
from support.shipped import shipped
from telltale.analysis.analyse import analyse_image
from telltale.base.images import to_bytes
from telltale.bundle import load_bundle

pytestmark = pytest.mark.slow

CANVAS = ".drawing canvas"


def to_draw(open_tab: Any, query: str, viewport: dict[str, int], scheme: str = "light") -> Visit:
    """Open the workbench and go to where one draws."""
    visit: Visit = open_tab(query, viewport, scheme)
    visit.page.locator('[class*="st-key-image-source-"]').get_by_text("Draw", exact=True).click()
    visit.page.wait_for_selector(CANVAS, timeout=PATIENCE)
    visit.settle()
    return visit


def hard_brush(visit: Visit, size: str) -> None:
    visit.page.get_by_role("button", name="Brush", exact=True).click()
    visit.page.get_by_role("slider", name="Brush size").fill(size)


def drag(visit: Visit, side: int, *pixels: tuple[int, int]) -> None:
    """Go with the button held from the middle of one pixel to the next ones', on an image of so many in a row."""
    canvas = visit.page.locator(CANVAS)
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    size = box["width"] / side
    places = [(box["x"] + (x + 0.5) * size, box["y"] + (y + 0.5) * size) for x, y in pixels]
    visit.page.mouse.move(*places[0])
    visit.page.mouse.down()
    for place in places[1:]:
        visit.page.mouse.move(*place, steps=3)
    visit.page.mouse.up()


def use(visit: Visit) -> npt.NDArray[np.uint8]:
    """Press the button, wait for the new case, and return its image, shape (H, W) or (H, W, 3)."""
    before = visit.page.url
    visit.page.get_by_role("button", name="Use this drawing").click()
    visit.page.wait_for_function("before => location.href !== before", arg=before, timeout=PATIENCE)
    visit.page.wait_for_selector('.linked canvas[aria-label^="Natural image (Your image), read as"]', timeout=PATIENCE)
    visit.settle()
    (image,) = parse_qs(urlsplit(visit.page.url).query)["image"]
    text = image.removeprefix("png-")
    assert text != image
    return np.asarray(Image.open(io.BytesIO(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))))


def test_a_stroke_on_the_digits_is_a_new_case_that_is_read(open_tab: Any) -> None:
    visit = to_draw(open_tab, "?bundle=digits", WIDE)
    hard_brush(visit, "3")
    drag(visit, 32, (15, 4), (15, 27))
    drawn = use(visit)
    expected = np.zeros((32, 32), np.uint8)
    expected[3:29, 14:17] = 255
    np.testing.assert_array_equal(drawn, expected)
    prediction = analyse_image(shipped(), (drawn[None] / np.float32(255)).astype(np.float32)).prediction
    assert f"read as {prediction.name}" in visit.text()
    visit.check()


@pytest.mark.parametrize(("viewport", "scheme"), [(WIDE, "dark"), (NARROW, "light")], ids=["wide", "narrow"])
def test_a_sticker_on_a_sign_leaves_every_other_pixel_as_it_was(
    viewport: dict[str, int], scheme: str, open_tab: Any
) -> None:
    bundle = load_bundle("signs")
    assert bundle.image_set is not None
    image_id = int(bundle.splits.test[0])
    before = np.moveaxis(to_bytes(bundle.image_set.images([image_id])[0]), 0, -1)
    visit = to_draw(open_tab, f"?bundle=signs&image=test-{image_id}&attack=none", viewport, scheme)
    visit.page.get_by_role("button", name="yellow").click()
    drag(visit, before.shape[1], (30, 20), (10, 24))
    visit.check()
    after = use(visit)
    expected = before.copy()
    expected[20:25, 10:31] = (255, 209, 0)
    np.testing.assert_array_equal(after, expected)
    visit.page.get_by_role("button", name="Undo").click()
    np.testing.assert_array_equal(use(visit), before)


def test_keys_draw_and_take_back_what_they_drew(open_tab: Any) -> None:
    visit = to_draw(open_tab, "?bundle=digits", WIDE)
    page = visit.page
    hard_brush(visit, "1")
    page.locator(CANVAS).focus()
    for key in ("ArrowLeft", "ArrowUp", "Space", "ArrowDown", "ArrowDown", "Enter", "Control+z"):
        page.keyboard.press(key)
    for _ in range(5):
        page.keyboard.press("Shift+ArrowRight")
    assert page.locator(".drawing [role=status]").inner_text() == "Column 21 of 32, row 18 of 32"
    page.get_by_role("button", name="Sticker").press("Enter")
    page.locator(CANVAS).focus()
    for key in ("ArrowDown", "ArrowDown", "Space", "ArrowLeft", "ArrowDown", "Space"):
        page.keyboard.press(key)
    expected = np.zeros((32, 32), np.uint8)
    expected[15, 15] = expected[17, 15:21] = 255
    expected[19:21, 19:21] = 255
    np.testing.assert_array_equal(use(visit), expected)
