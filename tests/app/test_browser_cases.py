"""In a real browser: a case is saved, handed on as files, deleted, brought back by a stranger and opened."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from support.browser import NARROW, PATIENCE, WIDE, Visit, assert_says_what_core_says, case_query
from support.shipped import correct_test_ids

pytestmark = pytest.mark.slow

NOTE = "A teaching example: <b>bold</b> stays as typed."


def test_a_case_travels_as_a_zip_and_opens_with_the_same_numbers(open_tab: Any, tmp_path: Path) -> None:
    image_id = int(correct_test_ids(6)[5])
    visit = open_tab(f"?{case_query(image_id)}", WIDE)
    save(visit)
    visit.page.get_by_role("link", name="All saved cases").click()
    visit.page.wait_for_selector(f"text={NOTE}", timeout=PATIENCE)
    visit.settle()
    visit.check()
    press(visit, "export")
    report, zipped = (download(visit, kind, tmp_path) for kind in ("report", "zip"))
    html = report.read_text()
    assert f"Test image {image_id}" in html and "<script" not in html
    ((tag, address),) = re.findall(r"<(\w+)[^>]*(?:src|href)=[\"']?((?:https?:)?//[^\"'>]*)", html)
    assert tag == "a" and address.startswith(visit.page.url.partition("/cases")[0]), "nothing but the link back"
    visit.page.keyboard.press("Escape")
    press(visit, "delete")
    visit.page.locator('[class*="st-key-delete-now-"] button').click()
    visit.page.wait_for_selector("text=No case has been saved here yet", timeout=PATIENCE)
    visit.settle()
    visit.check()
    stranger = open_tab("cases", NARROW)
    stranger.page.locator(".st-key-case-import summary").click()
    stranger.page.locator('.st-key-case-import input[type="file"]').set_input_files(zipped)
    stranger.page.wait_for_selector(f"text=Imported: Test image {image_id}", timeout=PATIENCE)
    stranger.page.wait_for_selector(f"text={NOTE}", timeout=PATIENCE)
    stranger.settle()
    press(stranger, "open")
    stranger.page.wait_for_selector("text=Every number is as it was saved.", timeout=PATIENCE)
    stranger.settle()
    stranger.check()
    assert_says_what_core_says(stranger, image_id)


def save(visit: Visit) -> None:
    """Save the case that is shown."""
    page = visit.page
    page.wait_for_selector("text=What the attack did", timeout=PATIENCE)
    visit.settle()
    page.locator(".st-key-save-case button:visible").first.click()
    page.locator(".st-key-save-note textarea").fill(NOTE)
    page.locator(".st-key-save-tags input").fill("teaching, odd ones")
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_selector("text=Saved.", timeout=PATIENCE)


def press(visit: Visit, name: str) -> None:
    """Press one of the only case's buttons."""
    visit.page.locator(f'[class*="st-key-{name}-"] button:visible').first.click()
    visit.settle()


def download(visit: Visit, kind: str, folder: Path) -> Path:
    """Save what one of the case's download buttons hands out."""
    with visit.page.expect_download(timeout=PATIENCE) as handed:
        visit.page.locator(f'[class*="st-key-{kind}-"] button:visible').click()
    file = folder / str(handed.value.suggested_filename)
    handed.value.save_as(file)
    return file
