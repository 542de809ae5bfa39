"""A chart as a file, in a real browser: by keyboard, and each file holds the chart."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from support.browser import PATIENCE, WIDE, case_query
from support.shipped import correct_test_ids

pytestmark = pytest.mark.slow

DRAWN = """() => {
  const none = value => value === null || Number.isNaN(value);
  return document.querySelector('.st-key-verdict-rows .js-plotly-plot').data
    .map(trace => Array.from(trace.x).filter((x, place) => !none(x) && !none(trace.y[place])).length)
    .reduce((sum, count) => sum + count);
}"""


def test_a_chart_is_saved_as_png_svg_and_csv(open_tab: Any) -> None:
    visit = open_tab(f"?{case_query(int(correct_test_ids(9)[4]))}", WIDE)
    page = visit.page
    page.wait_for_function(f"() => document.querySelector('.st-key-verdict-rows .js-plotly-plot')?.data && ({DRAWN})()")
    above = page.locator(".st-key-chart-of-verdict-rows").bounding_box()["height"]
    assert above - page.locator(".st-key-verdict-rows").bounding_box()["height"] < 1, "it takes no room"
    assert not page.locator(".st-key-chart-of-verdict-rows .modebar").is_visible()
    assert page.get_by_role("button", name="Save the chart").count() == page.locator(".js-plotly-plot").count()
    page.locator(".st-key-save-chart-verdict-rows button").focus()
    page.keyboard.press("Enter")
    dialog = page.locator('[role="dialog"]')
    dialog.locator("[data-save-as]").first.wait_for(timeout=PATIENCE)
    visit.settle()
    files = {}
    for name in ("PNG", "SVG", "CSV"):
        with page.expect_download(timeout=PATIENCE) as waiting:
            dialog.get_by_role("button", name=name).press("Enter")
        files[name] = waiting.value
        assert waiting.value.suggested_filename == f"telltale-verdict-rows.{name.lower()}"
    picture = Image.open(files["PNG"].path())
    assert picture.format == "PNG" and len(picture.convert("RGB").getcolors(picture.width * picture.height)) > 20
    drawing = Path(files["SVG"].path()).read_text(encoding="utf-8")
    assert drawing.startswith("<svg") and "Fused verdict" in drawing
    rows = list(csv.DictReader(Path(files["CSV"].path()).read_text(encoding="utf-8").splitlines()))
    assert len(rows) == page.evaluate(DRAWN) > 10
    visit.check()
