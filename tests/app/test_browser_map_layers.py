"""Two layers' maps side by side in a real browser, and what a map is saved as."""

from __future__ import annotations

import csv
import io
import re
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from support.browser import PATIENCE, WIDE, Visit, case_query
from support.map_on_screen import LISTEN, OnScreen
from support.shipped import correct_test_ids
from telltale.bundle import load_bundle
from telltale.figures import palette

pytestmark = pytest.mark.slow

TELLS_APART = 0.02  # pixels by which a written place may differ: it is kept to hundredths


def opened(open_tab: Any, more: str = "") -> Visit:
    visit: Visit = open_tab(f"neighbours?{case_query(int(correct_test_ids(9)[4]))}{more}", WIDE)
    visit.page.wait_for_selector('.map canvas[aria-label*="UMAP"]', timeout=PATIENCE)
    visit.settle()
    return visit


def test_what_is_pointed_at_or_reached_on_one_layer_is_marked_on_the_other(open_tab: Any) -> None:
    layer = load_bundle("digits").layers[1]
    visit = opened(open_tab, f"&beside={layer}")
    page = visit.page
    assert page.locator(".map").count() == 2
    screen = OnScreen(visit)
    row = screen.lonely()
    words = f"image {screen.bundle.splits.train[row]}"
    page.evaluate(LISTEN)
    page.mouse.move(*screen.places[row])
    for at in (0, 1):
        page.wait_for_selector(f".map >> nth={at} >> .tip:has-text('{words}')", timeout=PATIENCE)
    page.mouse.move(5, 5)
    page.wait_for_function(
        "() => ![...document.querySelectorAll('*')].some(e => e.shadowRoot?.querySelector('.tip:not([hidden])'))"
    )
    second = page.locator('.map canvas[tabindex="0"]').nth(1)
    second.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    told = page.locator(".map .tip").all_inner_texts()
    assert len(told) == 2 and told[0] == told[1] and told[0].startswith("nearest 1: class")
    assert page.evaluate("() => window.sentSince") == 0
    page.locator('.map [data-tool="all"]').first.click()  # an entry that was reached may have moved the map
    page.mouse.click(*OnScreen(visit).places[row])
    page.wait_for_selector("text=1 training image inside the lasso", timeout=PATIENCE)
    visit.settle()
    visit.check()


def saved(visit: Visit, form: str) -> bytes:
    visit.page.locator(".map .save summary").click()
    with visit.page.expect_download() as waiting:
        visit.page.locator(f'.map [data-save="{form}"]').click()
    assert waiting.value.suggested_filename == f"telltale-training-map.{form}"
    return Path(waiting.value.path()).read_bytes()


def test_a_map_is_saved_as_table_drawing_and_picture(open_tab: Any) -> None:
    visit = opened(open_tab)
    screen = OnScreen(visit)
    corner = screen.field.bounding_box()
    bundle, places = screen.bundle, screen.places - [corner["x"] + 1, corner["y"] + 1]
    table = list(csv.DictReader(io.StringIO(saved(visit, "csv").decode())))
    rows = [line for line in table if line["image"]]
    assert [int(line["image"]) for line in rows] == bundle.splits.train.tolist()
    assert [line["class"] for line in rows] == [bundle.class_names[label] for label in bundle.training_labels]
    np.testing.assert_array_equal(
        np.array([[line["x"], line["y"]] for line in rows], np.float32), np.asarray(bundle.maps["umap"][-1], np.float32)
    )
    assert sum("nearest" in line["marked"] for line in rows) == 8
    assert [line["marked"] for line in table[len(rows) :]] == ["this image, natural", "this image, attacked"]

    drawing = ElementTree.fromstring(saved(visit, "svg").decode())
    round_ones = [label for label in range(10) if palette.class_symbol(label) == "circle"]
    expected = places[np.isin(bundle.training_labels, round_ones)]
    first = [element for element in drawing if element.tag.endswith("path")][: len(bundle.splits.train)]
    written = [re.match(r"M([-\d.]+) ([-\d.]+)a([\d.]+) ", element.get("d", "")) for element in first]
    centres = np.array([[float(w[1]) + float(w[3]), float(w[2])] for w in written if w])
    assert len(centres) == len(expected) > 0
    apart = np.linalg.norm(centres[:, None] - expected[None], axis=2)
    assert apart.min(axis=1).max() <= TELLS_APART and apart.min(axis=0).max() <= TELLS_APART
    texts = {element.text for element in drawing if element.tag.endswith("text")}
    assert texts and texts <= set(bundle.class_names)

    picture = np.asarray(Image.open(io.BytesIO(saved(visit, "png"))).convert("RGBA"))
    assert picture.shape[:2] == (round(corner["height"] - 2), round(corner["width"] - 2))
    at = places[screen.lonely()].round().astype(int)
    colour = palette.class_colour(int(bundle.training_labels[screen.lonely()])).lstrip("#")
    drawn = picture[at[1], at[0]]
    assert drawn[3] > 0 and np.abs(drawn[:3].astype(int) - list(bytes.fromhex(colour))).max() <= 8
    assert (picture[..., 3] == 0).any(), "its ground is see-through"
    visit.check()


def test_before_a_room_a_map_grows_with_the_letters(open_tab: Any) -> None:
    visit = opened(open_tab)
    field = visit.page.locator(".map .field")
    usual = field.bounding_box()["height"]
    letters = re.findall(r"font: \d+ ([\d.]+)px", saved(visit, "svg").decode())
    visit.page.evaluate("() => { document.documentElement.style.fontSize = '24px'; }")  # as the presenter view does
    deadline = time.monotonic() + PATIENCE / 1000.0
    while field.bounding_box()["height"] != pytest.approx(1.5 * usual, abs=3):
        assert time.monotonic() < deadline, field.bounding_box()
        visit.page.wait_for_timeout(50)
    larger = re.findall(r"font: \d+ ([\d.]+)px", saved(visit, "svg").decode())
    assert set(letters) == {"13"} and set(larger) == {"19.5"}
    visit.check()
