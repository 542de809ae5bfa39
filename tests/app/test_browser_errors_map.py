"""The map of errors in a real browser: chosen by keyboard, filtered by a cell of the matrix beside it."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from support.browser import PATIENCE, WIDE, Visit
from telltale.bundle import load_bundle
from telltale.model_errors.evaluated import evaluated_images

pytestmark = pytest.mark.slow

# Where the middle of the matrix's cell lies in the window.
CELL = """
([true_class, read]) => {
  const figure = document.querySelector('.js-plotly-plot');
  figure.scrollIntoView({ block: 'center' });
  const { xaxis, yaxis } = figure._fullLayout;
  const box = figure.getBoundingClientRect();
  const at = (axis, name) => axis._offset + axis.l2p(axis._categories.indexOf(name));
  return [box.left + at(xaxis, read), box.top + at(yaxis, true_class)];
}
"""


@pytest.fixture
def visit(open_tab: Any) -> Visit:
    opened: Visit = open_tab("misclassifications?bundle=digits", WIDE)
    opened.page.wait_for_selector('.map canvas[aria-label*="misread images"]', timeout=PATIENCE)
    opened.settle()
    return opened


def test_an_error_is_chosen_by_keyboard_and_given_back(visit: Visit) -> None:
    page, count = visit.page, len(evaluated_images(load_bundle("digits").scores).errors())
    assert page.locator(".map ol li").count() == count
    canvas = page.locator('.map canvas[tabindex="0"]')
    canvas.focus()
    page.keyboard.press("ArrowRight")
    said = page.locator('.map [role="status"]').inner_text()
    (image_id,) = re.findall(r"^misread images 1: image (\d+): \S+, read as \S+$", said)
    page.keyboard.press("Enter")
    page.wait_for_selector(".map ol li:has-text('chosen image')", state="attached", timeout=PATIENCE)
    visit.settle()
    visit.check()
    assert visit.text().count("Chosen") == 1 and f"Image {image_id}. Its label says" in visit.text()
    assert "most harmful 1: class" in page.locator(".map ol").inner_text()
    canvas.press("Escape")
    page.locator(".map ol li").nth(count).wait_for(state="detached", timeout=PATIENCE)
    assert "Chosen" not in visit.text()


def test_a_cell_filters_the_map_until_it_is_clicked_again(visit: Visit) -> None:
    page, bundle = visit.page, load_bundle("digits")
    errors = evaluated_images(bundle.scores).errors()
    cells, counts = np.unique(np.stack([errors.labels, errors.predictions], axis=1), axis=0, return_counts=True)
    names = [bundle.class_names[label] for label in cells[counts.argmax()]]
    shown = page.locator(f'.map canvas[aria-label*="{len(errors)} misread"][aria-label*=", {counts.max()} of them"]')
    page.mouse.click(*page.evaluate(CELL, names))
    shown.wait_for(timeout=PATIENCE)
    visit.settle()
    visit.check()
    assert page.locator(".map ol li").count() == counts.max()
    assert f"Only {names[0]} read as {names[1]}." in visit.text()
    assert page.locator(".js-plotly-plot .shapelayer path").count() == 1, "the cell is framed"
    page.mouse.click(*page.evaluate(CELL, names))
    shown.wait_for(state="detached", timeout=PATIENCE)
    page.locator(".map ol li").nth(len(errors) - 1).wait_for(state="attached", timeout=PATIENCE)
