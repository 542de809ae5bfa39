"""The map in a real browser: pointed at, zoomed, clicked, lassoed gone through by keyboard."""

from __future__ import annotations

import io
import re
from typing import Any
from urllib.parse import urljoin

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from skimage.measure import points_in_poly

from support.browser import PATIENCE, WIDE, Visit, analyses, case_query
from support.map_on_screen import LISTEN, OnScreen
from support.shipped import correct_test_ids
from telltale.bundle import load_bundle
from telltale.kinds.neighbours import NeighboursView

pytestmark = pytest.mark.slow


@pytest.fixture
def visit(open_tab: Any) -> Visit:
    image_id = int(correct_test_ids(9)[4])
    opened: Visit = open_tab(f"neighbours?{case_query(image_id)}", WIDE)
    opened.page.wait_for_selector('.map canvas[aria-label*="UMAP"]', timeout=PATIENCE)
    opened.settle()
    return opened


def test_pointing_at_an_image_shows_it_and_nothing_is_asked_of_the_page(visit: Visit) -> None:
    page, screen = visit.page, OnScreen(visit)
    row = screen.lonely()
    image_id = int(screen.bundle.splits.train[row])
    name = screen.bundle.class_names[screen.bundle.training_labels[row]]
    page.evaluate(LISTEN)
    page.mouse.move(*screen.places[row])
    page.wait_for_selector(f".map .tip:has-text('class {name}, image {image_id}')", timeout=PATIENCE)
    picture = page.locator(".map .tip img")
    page.wait_for_function("picture => picture.complete && picture.naturalWidth", arg=picture.element_handle())
    answer = page.request.get(urljoin(page.url, picture.get_attribute("src")))
    shown = np.asarray(Image.open(io.BytesIO(answer.body())))
    np.testing.assert_array_equal(shown, screen.bundle.image_set.pixels[image_id, 0])
    for _ in range(4):
        page.mouse.wheel(0, -400)
    page.keyboard.down("Shift")
    page.mouse.down()
    page.mouse.move(*(screen.places[row] + [40, 30]), steps=4)
    page.mouse.up()
    page.keyboard.up("Shift")
    page.locator('.map [data-tool="all"]').click()
    page.wait_for_load_state("networkidle")
    assert page.evaluate("() => window.sentSince") == 0


def test_a_click_and_a_lasso_choose_what_lies_there(visit: Visit) -> None:
    page, screen = visit.page, OnScreen(visit)
    row = screen.lonely()
    page.mouse.click(*screen.places[row])
    page.wait_for_selector("text=1 training image inside the lasso", timeout=PATIENCE)
    visit.settle()
    screen = OnScreen(visit)
    middle = np.median(screen.places, axis=0)
    outline = middle + np.array([[-150, -70], [130, -90], [160, 80], [-90, 100]])
    page.mouse.move(*outline[0])
    page.mouse.down()
    for corner in outline[1:]:
        page.mouse.move(*corner, steps=6)
    page.mouse.up()
    inside = int(points_in_poly(screen.places, outline).sum())
    assert inside > 10
    page.wait_for_selector("text=/\\d{2,} training images.*inside the lasso/", timeout=PATIENCE)
    visit.settle()
    visit.check()
    (found,) = re.findall(r"([\d,]+) training images inside the lasso", visit.text())
    assert abs(int(found.replace(",", "")) - inside) <= 2, "corners are whole pixels, and points may lie on the line"
    page.locator(".st-key-map-clear button").click()
    page.wait_for_function("() => !document.body.innerText.includes('inside the lasso')", timeout=PATIENCE)


def test_the_marked_images_are_reached_said_and_opened_by_keyboard(visit: Visit) -> None:
    page = visit.page
    image_id = int(re.findall(r"image=test-(\d+)", page.url)[0])
    near = analyses(image_id)[1].view(NeighboursView)
    bundle = load_bundle("digits")
    first = int(near.ids[-1, 0])
    words = f"nearest 1: class {bundle.class_names[near.labels[-1, 0]]}, image {first}"
    entries = page.locator(".map ol li").all_inner_texts()
    assert entries[:3] == ["this image, natural", "this image, attacked", words]
    assert len(entries) == 2 + 3 * 8
    canvas = page.locator('.map canvas[tabindex="0"]')
    canvas.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert page.locator('.map [role="status"]').inner_text() == words
    page.keyboard.press("+")
    assert page.locator(".map .tip").inner_text() == words
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    inside = [rule["id"] for rule in found for node in rule["nodes"] if isinstance(node["target"][0], list)]
    assert not inside, "a part of the map, which alone stands in a tree of its own"
    canvas.press("Enter")
    page.wait_for_url(f"**image=train-{first}*", timeout=PATIENCE)
    page.wait_for_selector("h1:has-text('Workbench')", timeout=PATIENCE)
    visit.settle()
