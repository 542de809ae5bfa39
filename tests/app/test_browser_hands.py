"""Hands on the workbench, in a real browser: copy and paste, and keys that rest while somebody writes."""

from __future__ import annotations

from typing import Any

import pytest

from support.browser import PATIENCE, WIDE, Visit
from telltale.bundle import load_bundle
from telltale.scores.table import natural_test_ids

pytestmark = pytest.mark.slow

PASTE = """async ground => {
  const canvas = Object.assign(document.createElement('canvas'), {width: 28, height: 28});
  const pen = canvas.getContext('2d');
  pen.fillStyle = ground;
  pen.fillRect(0, 0, 28, 28);
  pen.fillStyle = '#fff';
  pen.fillRect(12, 4, 4, 20);
  const picture = await new Promise(done => canvas.toBlob(done, 'image/png'));
  const clipboardData = new DataTransfer();
  clipboardData.items.add(new File([picture], 'image.png', {type: 'image/png'}));
  document.body.dispatchEvent(new ClipboardEvent('paste', {clipboardData, bubbles: true, cancelable: true}));
}"""
ELSEWHERE = "before => location.href !== before"


def moved(visit: Visit, before: str) -> str:
    """Wait until the address says that another case is shown."""
    visit.page.wait_for_function(ELSEWHERE, arg=before, timeout=PATIENCE)
    visit.settle()
    return str(visit.page.url)


def test_copy_link_copies_and_says_so(open_tab: Any) -> None:
    visit = open_tab("?bundle=digits", WIDE)
    page = visit.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator(".st-key-copies-case button:visible").click()
    page.wait_for_selector('[role="status"]:has-text("Link copied")', timeout=PATIENCE)
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == page.url
    assert page.locator('[data-testid="stPopoverBody"] code').inner_text() == copied
    page.wait_for_selector('[role="status"]:has-text("Link copied")', state="hidden", timeout=PATIENCE)


def pasted_once(open_tab: Any) -> tuple[Visit, str]:
    """Paste a picture on a workbench that shows a test image; return the visit and its address then."""
    start = natural_test_ids(load_bundle("digits").scores)[0]
    visit = open_tab(f"?bundle=digits&image=test-{start}&attack=none&alpha=0.05", WIDE)
    before = visit.page.url
    visit.page.wait_for_function("() => window.telltalePastes", timeout=PATIENCE)  # a moment after it is drawn
    visit.page.evaluate(PASTE, "#000")
    return visit, moved(visit, before)


def test_a_pasted_image_becomes_the_upload_from_wherever_one_is(open_tab: Any) -> None:
    visit, first = pasted_once(open_tab)
    assert "image=png-" in first and "image.png" in visit.page.locator(".st-key-upload").inner_text()
    visit.check()


def test_another_pasted_image_takes_its_place(open_tab: Any) -> None:
    visit, first = pasted_once(open_tab)
    visit.page.evaluate(PASTE, "#333")
    assert "image=png-" in moved(visit, first)


def test_keys_go_through_images_and_rest_while_somebody_writes(open_tab: Any) -> None:
    order = natural_test_ids(load_bundle("digits").scores).tolist()
    visit = open_tab(f"?bundle=digits&image=test-{order[0]}", WIDE)
    page, before = visit.page, visit.page.url
    page.locator("h1").click()
    page.keyboard.press("n")
    before = moved(visit, before)
    assert f"image=test-{order[1]}&" in before
    for held in ("Control+n", "Alt+p"):
        page.keyboard.press(held)
    page.locator('[class*="st-key-image-source-"]').get_by_text("Link", exact=True).click()
    field = page.locator(".st-key-pasted-link input")
    field.click(timeout=PATIENCE)
    page.keyboard.type("nps?a")
    assert field.input_value() == "nps?a" and page.url == before and not page.locator('[role="dialog"]').count()
    field.fill("")
    page.locator("h1").click()
    page.keyboard.press("?")
    page.wait_for_selector('[role="dialog"]:has-text("A random story")', timeout=PATIENCE)
    page.keyboard.press("Escape")
    page.wait_for_selector('[role="dialog"]', state="detached", timeout=PATIENCE)
    page.keyboard.press("a")
    page.wait_for_url("**attack=pgd*", timeout=PATIENCE)
    visit.settle()
    visit.check()
