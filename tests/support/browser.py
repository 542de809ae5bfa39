"""A person's tab in a real browser, and what it must show for a case."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from support.shipped import images_of, shipped
from telltale.analysis.analyse import analyse_image, attack_image
from telltale.analysis.reading import count_noticing
from telltale.analysis.results import Analysis
from telltale_app.words import number

PAGES = {
    "Workbench": "",
    "Feature responses": "feature-responses",
    "Trajectories": "trajectories",
    "Neighbours & influence": "neighbours",
    "Hidden-state density": "hidden-state-density",
    "Detectors & ROC": "detectors",
    "Paper tables": "paper-tables",
    "Evaluation checklist": "evaluation",
    "About": "about",
    "Lessons": "lessons",
    "Misclassifications": "misclassifications",
    "Two models": "two-models",
    "Cases": "cases",
}
WORDS = "Words, scores and thresholds"  # what the workbench folds away
ARGUMENTS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
WAITED = '[class*="st-key-waiting-"]:not(:has([data-testid="stProgress"]))'
WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
PATIENCE = 60_000

# What a browser says that these pages cannot help, each with its reason.
NOT_OURS = {
    r"404 .*/media/[0-9a-f]+\.png$": "A picture gave way to the next one before the browser had asked for it.",
    r"net::ERR_ABORTED .*/media/[0-9a-f]+\.png$": "The page was left before its pictures had come.",
    r"net::ERR_ABORTED .*/_stcore/bidi-components/": "The page was left before a component's script had come.",
    r"Image source error - .*/media/[0-9a-f]+\.png at ": "Streamlit's own words for the same.",
    r"Download Button source error - 404 at ": "The same of a file to be saved, which is made anew with the page.",
}


def chromium() -> str:
    """Return the browser's path; without one nothing here can run, which is a fault where all checks must run."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        reason = "There is no Chromium on this machine; the pages were not looked at in a browser."
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@dataclass
class Visit:
    """One person's tab, and what the browser complained about in it."""

    page: Any
    complaints: list[str] = field(default_factory=list)

    def settle(self) -> None:
        """Wait until nothing runs and nothing is missing."""
        self.page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]', timeout=PATIENCE)
        self.page.wait_for_selector("h1", timeout=PATIENCE)
        self.page.wait_for_function("() => !document.querySelector('[data-testid=\"stSkeleton\"]')", timeout=PATIENCE)

    def unfold(self, *titles: str) -> None:
        """Open what is folded away under these titles."""
        for title in titles:
            folded = self.page.locator('[data-testid="stExpander"] details:not([open]) summary', has_text=title)
            if folded.count():
                folded.first.click()
                self.page.wait_for_selector(f'details[open] summary:has-text("{title}")', timeout=PATIENCE)

    def text(self) -> str:
        """Return everything that can be read on the page."""
        return re.sub(r"\s+", " ", self.page.locator('[data-testid="stMain"]').inner_text())

    def check(self) -> None:
        """No error is shown, nothing is wider than the window, and what showed progress leaves no gap."""
        for kind in ("stException", "stAlertContentError"):
            shown = self.page.locator(f'[data-testid="{kind}"]')
            assert shown.count() == 0, shown.first.inner_text()
        for selector in ("html", '[data-testid="stMain"]'):
            wide, room = self.page.eval_on_selector(selector, "e => [e.scrollWidth, e.clientWidth]")
            assert wide <= room + 1, f"{selector} is {wide} px wide in {room} px at {self.page.url}"
        gaps = self.page.eval_on_selector_all(WAITED, "all => all.filter(e => e.getClientRects().length).length")
        assert gaps == 0, f"{gaps} frames of progress leave a gap at {self.page.url}"


def console_line(message: Any) -> str:
    return f"{message.type}: {message.text} at {message.location.get('url', '')}"


def case_query(image_id: int) -> str:
    return f"bundle=digits&image=test-{image_id}&attack=pgd~eps~0.1~seed~0&alpha=0.05"


def analyses(image_id: int) -> tuple[Analysis, Analysis]:
    """Return what core says of an image and of its attack with PGD's defaults."""
    image = images_of([image_id])[0]
    attack = attack_image(shipped(), image, "pgd", seed=0)
    return analyse_image(shipped(), image), analyse_image(shipped(), attack.images[0])


def readings(analysis: Analysis) -> list[str]:
    """Return how a page writes every verdict."""
    return [f"score {number(v.score)}, p = {v.p_value:.3f}, threshold {number(v.threshold)}" for v in analysis.verdicts]


def assert_says_what_core_says(visit: Visit, image_id: int) -> None:
    natural, attacked = analyses(image_id)
    visit.unfold(WORDS, "What the attack did")
    text = visit.text()
    noticing, calibrated = count_noticing(attacked.verdicts)
    assert re.search(rf"{noticing} of {calibrated} detectors notices? the attacked image, at 5 % false alarms\.", text)
    assert f"read as {natural.prediction.name}" in text
    assert f"read as {attacked.prediction.name}" in text
    for reading in readings(natural) + readings(attacked):
        assert reading in text, reading
    linf = float(np.abs(attacked.image - natural.image).max())
    assert f"L∞ {linf:.3f}" in text
