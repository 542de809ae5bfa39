"""The app for everybody: axe finds nothing serious on any page, and a whole case needs no mouse."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from support.browser import NARROW, PAGES, PATIENCE, WIDE, case_query
from support.shipped import correct_test_ids

pytestmark = pytest.mark.slow

SERIOUS = ("serious", "critical")
MOST_STEPS = 150

# What axe finds in Streamlit's own parts, which no option changes, each with its reason.
NOT_OURS = {
    ("list", "stSidebarNavItems"): "Streamlit wraps the sections of its navigation in elements that no list may hold.",
    ("listitem", "st-emotion-cache"): "The pages in those sections: they are announced as links all the same.",
}


def serious(page: Any) -> list[str]:
    """Return what axe calls serious on the page as it stands, one line per rule and element."""
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [
        f"{rule['id']}: {node['html'][:160]} {node.get('failureSummary', '')[:200]}"
        for rule in found
        if rule["impact"] in SERIOUS
        for node in rule["nodes"]
        if not any(rule["id"] == known and part in node["html"] for known, part in NOT_OURS)
    ]


@pytest.mark.parametrize(
    ("scheme", "viewport"), [("light", WIDE), ("dark", NARROW)], ids=["light, wide", "dark, narrow"]
)
def test_axe_finds_nothing_serious_on_any_page_and_each_fits(
    open_tab: Any, scheme: str, viewport: dict[str, int]
) -> None:
    case = case_query(int(correct_test_ids(9)[4]))
    visit, found = open_tab(f"?{case}", viewport, scheme), {}
    page, address = visit.page, visit.page.url.partition("?")[0]
    for title, path in PAGES.items():
        page.goto(f"{address}{path}?{case}", timeout=PATIENCE)
        page.wait_for_selector(f"h1:has-text('{title}')", timeout=PATIENCE)
        visit.settle()
        visit.check()
        if lines := serious(page):
            found[title] = lines
    assert not found, "\n".join(f"{title}: {line}" for title, lines in found.items() for line in lines)


def tab_to(page: Any, selector: str) -> None:
    """Press Tab until the focus is inside an element, and check that it can be seen."""
    inside = "selector => document.activeElement.closest(selector) !== null"
    for _ in range(MOST_STEPS):
        page.keyboard.press("Tab")
        if page.evaluate(inside, selector):
            return
    pytest.fail(f"{MOST_STEPS} steps with Tab do not reach {selector}")


def test_a_whole_case_by_keyboard(open_tab: Any) -> None:
    visit = open_tab("", WIDE)
    page = visit.page
    tab_to(page, ".st-key-pick-sample-borderline")
    before = page.url
    page.keyboard.press("Enter")
    page.wait_for_function("url => location.href !== url", arg=before, timeout=PATIENCE)
    visit.settle()
    tab_to(page, '[class*="st-key-attack-now"] button')
    page.keyboard.press("Enter")
    page.wait_for_url("**attack=pgd*", timeout=PATIENCE)
    page.wait_for_selector("text=What the attack did", timeout=PATIENCE)
    visit.settle()
    tab_to(page, '[data-testid="stMain"] a[href*="trajectories"]')
    page.keyboard.press("Enter")
    page.wait_for_selector("h1:has-text('Trajectories')", timeout=PATIENCE)
    visit.settle()
    visit.check()
    assert "attack=pgd" in page.url
