"""A lesson before a room, in a real browser: the step stays in sight, the presenter view leaves the page its room."""

from __future__ import annotations

from typing import Any

import pytest

from support.browser import NARROW, PATIENCE, WIDE, Visit
from telltale_app.lessons.registry import LESSONS

pytestmark = pytest.mark.slow

BAR = """() => {
  const box = document.querySelector('[data-testid=stLayoutWrapper]:has(> .st-key-lesson-bar)').getBoundingClientRect();
  return [box.top, box.height];
}"""
STANDS = """anchor => {
  const box = found => found?.getBoundingClientRect();
  const bar = box(document.querySelector('[data-testid=stLayoutWrapper]:has(> .st-key-lesson-bar)'));
  const top = box(document.getElementById(anchor))?.top;
  return Boolean(bar) && top >= bar.bottom && top < bar.bottom + 40;
}"""
CHART = "() => document.querySelector('.st-key-top-natural .js-plotly-plot')?._fullLayout?.height"


def in_sight(visit: Visit, anchor: str) -> None:
    """Wait until a heading stands right below the bar, and check that it stays there."""
    visit.page.wait_for_function(STANDS, arg=anchor, timeout=PATIENCE)
    visit.settle()
    visit.page.wait_for_timeout(2500)
    assert visit.page.evaluate(STANDS, anchor), anchor


@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
def test_next_brings_what_is_to_be_seen_below_the_bar(open_tab: Any, viewport: dict[str, int]) -> None:
    steps = LESSONS["fooling"].steps
    visit = open_tab("?lesson=fooling", viewport)
    in_sight(visit, steps[0].anchor)
    for index, step in enumerate(steps[1:3], 2):
        visit.page.locator(".st-key-lesson-next button:visible").click()
        visit.page.wait_for_selector(f"text=step {index} of {len(steps)}", timeout=PATIENCE)
        in_sight(visit, step.anchor)
        top, height = visit.page.evaluate(BAR)
        assert top == 60, "it stays where Streamlit's header ends"
        assert height <= viewport["height"] * (0.4 if viewport is WIDE else 1 / 3), height
    visit.page.locator(".st-key-lesson-step summary").click()
    visit.page.wait_for_function(f"() => ({BAR})()[1] < {height} - 80", timeout=PATIENCE)
    visit.check()


def test_who_has_taken_over_is_left_where_they_are(open_tab: Any) -> None:
    visit = open_tab("?lesson=fooling", WIDE)
    in_sight(visit, "what-changed")
    place = "() => document.querySelector('[data-testid=stMain]').scrollTop"
    before = visit.page.evaluate(place)
    visit.page.locator(".st-key-lesson-menu button:visible").click()
    visit.page.wait_for_selector(".st-key-presenter-view", timeout=PATIENCE)
    assert visit.page.evaluate(place) == before, "what is opened in the bar moves nothing"


def test_a_room_sees_a_slim_bar_no_sidebar_and_larger_charts(open_tab: Any) -> None:
    visit = open_tab("?lesson=fooling&step=2", WIDE)
    visit.page.wait_for_function(CHART, timeout=PATIENCE)
    plain = visit.page.evaluate(CHART)
    room = open_tab("?lesson=fooling&step=2&present=true&reveal=true", WIDE)
    in_sight(room, "what-changed")
    room.page.wait_for_function(CHART, timeout=PATIENCE)
    assert room.page.evaluate(CHART) == pytest.approx(1.5 * plain)
    top, height = room.page.evaluate(BAR)
    assert top == 0 and height < 80
    assert not room.page.locator('[data-testid="stSidebar"]').is_visible()
    room.page.locator(".st-key-lesson-text button:visible").click()
    room.page.wait_for_selector("text=The answer.", timeout=PATIENCE)
    marked = room.page.locator('[data-testid="stRadioCaption"]').filter(has_text="the right answer")
    marked.first.wait_for(timeout=PATIENCE)
    assert marked.count() == 1 and "gradient" in marked.locator("xpath=..").inner_text(), "below the answer"
    room.check()
