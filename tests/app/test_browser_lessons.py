"""What a newcomer does in a real browser: a lesson from end to end, and three tasks from the first page on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import expect

from support.browser import NARROW, PATIENCE, WIDE, Visit, analyses
from support.shipped import images_of, shipped
from telltale.analysis.analyse import analyse_image
from telltale.analysis.reading import count_noticing
from telltale.kinds.neighbours import NeighboursView
from telltale.scores.calibration import Calibration
from telltale.scores.table import select_scores
from telltale.scores.titles import percent
from telltale_app.lessons.registry import LESSONS

pytestmark = pytest.mark.slow

MOST_CLICKS = 10
STILL_MS = 300


@dataclass
class Hand:
    """Clicks on what can be seen, and counts."""

    visit: Visit
    clicks: int = 0

    def click(self, target: Any) -> None:
        target.scroll_into_view_if_needed(timeout=PATIENCE)
        self.visit.page.wait_for_timeout(STILL_MS)  # an open list closes when the page scrolls on beneath it
        target.click(timeout=PATIENCE)
        self.clicks += 1
        self.visit.settle()

    def go(self, title: str) -> None:
        page = self.visit.page
        self.click(page.locator('[data-testid="stSidebarNavLink"]', has_text=title))
        page.wait_for_selector(f"h1:has-text('{title}')", timeout=PATIENCE)
        self.visit.settle()


def step_of(visit: Visit, name: str, index: int) -> None:
    """Wait for a step of a lesson."""
    lesson = LESSONS[name]
    page = visit.page
    page.wait_for_selector(f"text=step {index + 1} of {len(lesson.steps)}", timeout=PATIENCE)
    page.wait_for_selector(f'.st-key-lesson-bar :text("{lesson.steps[index].title}")', timeout=PATIENCE)
    page.wait_for_url(f"**lesson={name}&step={index + 1}**", timeout=PATIENCE)
    visit.settle()
    visit.check()


def answered_rightly(hand: Hand) -> bool:
    """Try the answers of a step's question in turn, and return whether one was the right one."""
    bar = hand.visit.page.locator(".st-key-lesson-bar")
    for index, choice in enumerate(bar.locator("[data-testid='stRadio'] label:has(input)").all()):
        hand.click(choice)
        answer = bar.locator(f".st-key-lesson-answer-{index}")
        answer.wait_for(timeout=PATIENCE)
        if "Right." in answer.inner_text():
            return True
    return False


def test_the_first_lesson_is_gone_through_on_the_real_pages(open_tab: Any) -> None:
    visit = open_tab("lessons", WIDE)
    page, hand = visit.page, Hand(visit)
    visit.check()
    hand.click(page.locator(".st-key-begin-fooling button:visible"))
    for index, step in enumerate(LESSONS["fooling"].steps):
        step_of(visit, "fooling", index)
        if step.question is not None:
            assert answered_rightly(hand)
        if index == 1:
            page.locator("[data-testid=stMain]").evaluate("main => { main.scrollTop = main.scrollHeight; }")
            expect(page.locator(".st-key-lesson-next")).to_be_in_viewport()
            resumed = open_tab(page.url + "&present=true", NARROW)
            step_of(resumed, "fooling", 1)
            assert resumed.page.evaluate("getComputedStyle(document.documentElement).fontSize") == "24px"
            assert "What the attack did" in resumed.text()
            resumed.page.locator(".st-key-lesson-text button:visible").click()
            resumed.page.wait_for_selector("text=You would still read the picture as before.", timeout=PATIENCE)
            resumed.page.context.close()
        last = index + 1 == len(LESSONS["fooling"].steps)
        page.locator(f".st-key-lesson-{'finish' if last else 'next'} button:visible").press("Enter")
    page.wait_for_selector("text=Finished, 3 of 3 questions answered rightly", timeout=PATIENCE)
    visit.settle()
    visit.check()


def test_fool_it_and_see_who_notices(open_tab: Any) -> None:
    visit = open_tab("", WIDE)
    page, hand = visit.page, Hand(visit)
    shown = re.search(r"image=test-(\d+)", page.url)
    assert shown is not None
    hand.click(page.locator('[class*="st-key-attack-now"] button'))
    page.wait_for_selector("text=What the attack did", timeout=PATIENCE)
    visit.settle()
    _, attacked = analyses(int(shown[1]))
    noticing, calibrated = count_noticing(attacked.verdicts)
    assert re.search(rf"{noticing} of {calibrated} detectors notices? the attacked image", visit.text())
    assert hand.clicks <= MOST_CLICKS


def test_find_why_an_image_is_misclassified(open_tab: Any) -> None:
    visit = open_tab("", WIDE)
    page, hand = visit.page, Hand(visit)
    hand.go("Misclassifications")
    table = page.locator(".dvn-scroller").first
    table.wait_for(timeout=PATIENCE)
    table.click(position={"x": 12, "y": 52})
    hand.clicks += 1
    page.wait_for_selector("text=nearest training images,", timeout=PATIENCE)
    visit.settle()
    found = re.search(
        r"Image (\d+)\. Its label says (\S+); the model reads (\S+) \(.*?\)\. Of its (\d+) nearest training images, "
        r"(\d+) are of class (\S+) and (\d+) of class (\S+)\. .* Label-error score",
        visit.text(),
    )
    assert found is not None, visit.text()
    rows = [
        row for row in shipped().bundle.scores.to_pylist() if row["image_id"] == int(found[1]) and not row["attack"]
    ]
    names = shipped().bundle.class_names
    assert [(names[row["label"]], names[row["prediction"]]) for row in rows] == [(found[2], found[3])]
    near = analyse_image(shipped(), images_of([int(found[1])])[0]).view(NeighboursView).labels[-1, : int(found[4])]
    assert [int(found[5]), int(found[7])] == [int((near == names.index(found[group])).sum()) for group in (6, 8)]
    assert "Most harmful training images" in visit.text()
    assert hand.clicks <= MOST_CLICKS


def test_pick_a_threshold_with_five_percent_false_alarms_and_say_what_it_catches(open_tab: Any) -> None:
    visit = open_tab("", WIDE)
    page, hand = visit.page, Hand(visit)
    hand.go("Detectors & ROC")
    slider = page.locator('.st-key-alpha-slider input[type="range"]')
    assert int(slider.get_attribute("value")) == 5, "what the address and the page say"
    hand.click(page.locator(".st-key-detector"))
    hand.click(page.get_by_role("option", name="I-defender"))
    page.wait_for_selector("text=I-defender against all attacks", timeout=PATIENCE)
    visit.settle()
    assert int(slider.get_attribute("value")) == 5
    for _ in range(4):
        slider.press("ArrowRight")
    page.wait_for_url("**alpha=0.09*", timeout=PATIENCE)
    visit.settle()
    assert int(slider.get_attribute("value")) == 9
    for _ in range(4):
        slider.press("ArrowLeft")
    page.wait_for_url("**alpha=0.05*", timeout=PATIENCE)
    visit.settle()
    scores = shipped().bundle.scores
    column = "score_idefender"
    threshold = Calibration.of(select_scores(scores, column, "natural", split="calibration").values).threshold(0.05)
    caught, alarms = (
        float(np.mean(select_scores(scores, column, kind).values >= threshold)) for kind in ("adversarial", "natural")
    )
    text = visit.text()
    assert f"Caught (TPR) {percent(caught)}" in text and f"False alarms (FPR) {percent(alarms)}" in text
    assert hand.clicks <= MOST_CLICKS
