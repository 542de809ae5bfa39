"""Lessons before a room: presenter view, answers that a link reveals, and a sheet to print."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from support.fake_analysis import FakeEngine
from support.pages import open_link
from telltale_app import engine_client
from telltale_app.analyses import CaseAnalysis
from telltale_app.lessons import sheet_offer
from telltale_app.lessons.lesson import Choice, Lesson, Question, Step
from telltale_app.lessons.registry import LESSONS
from telltale_app.lessons.sheet import lesson_sheet

HOSTILE = '<script>alert(1)</script> & "x"'


def marks(app: AppTest) -> list[bool]:
    """Return which answers are marked as right; none where nothing is."""
    return ["the right answer" in caption for caption in app.radio[0].proto.captions]


def answers_said(app: AppTest) -> int:
    return sum(success.value.startswith("**The answer.**") for success in app.success)


def styles(app: AppTest) -> str:
    return "\n".join(element.proto.body for element in app.get("html"))


def test_a_link_reveals_the_answers_to_whoever_opens_it(lesson_engine: FakeEngine) -> None:
    closed = open_link(lesson="fooling", step="2")
    opened = open_link(lesson="fooling", step="2", reveal="true")
    question = LESSONS["fooling"].steps[1].question
    assert question is not None and not callable(question.choices)
    right = [choice.right for choice in question.choices]
    assert marks(opened) == right and not marks(closed)
    assert opened.radio[0].options == closed.radio[0].options, "a radio knows by these what was chosen"
    assert (answers_said(closed), answers_said(opened)) == (0, 1)
    assert opened.query_params["reveal"] == "true" and "reveal" not in closed.query_params


@pytest.mark.parametrize("value", ["1", "TRUE"])
def test_no_other_value_reveals_anything(lesson_engine: FakeEngine, value: str) -> None:
    app = open_link(lesson="fooling", step="2", reveal=value)
    assert not marks(app) and not answers_said(app)


@pytest.mark.parametrize("chosen", [1, 2])
def test_an_answer_stays_when_the_right_one_is_shown_and_hidden(lesson_engine: FakeEngine, chosen: int) -> None:
    app = open_link(lesson="fooling", step="2")
    app.radio[0].set_value(chosen).run()
    clicked = app.radio[0].options[chosen]
    for shown in (True, False):
        app.toggle(key="show-answers").set_value(shown)
        for _ in range(2):
            run_in_browser(app, clicked)
            assert app.radio[0].value == chosen and bool(marks(app)) == shown and not answers_said(app)


def run_in_browser(app: AppTest, clicked: str) -> None:
    """Run as a browser does, which says of a radio the text that was clicked, whatever the page calls it since."""
    held = app._tree.get_widget_states()
    for widget in held.widgets:
        if widget.id == app.radio[0].proto.id:
            widget.string_value = clicked
    app._run(held)


@pytest.mark.parametrize("query", [{}, {"lesson": "fuling"}])
def test_without_a_lesson_a_link_neither_presents_nor_reveals(lesson_engine: FakeEngine, query: dict[str, str]) -> None:
    app = open_link(present="true", reveal="true", **query)
    assert not app.exception and not {"present", "reveal"} & set(app.query_params)
    assert '[data-testid="stSidebar"]' not in styles(app)
    app.switch_page("app_pages/lessons.py").run()
    app.button(key="begin-fooling").click().run()
    app.switch_page(LESSONS["fooling"].steps[0].script).run()
    assert app.query_params["lesson"] == "fooling" and not {"present", "reveal"} & set(app.query_params)
    assert not app.toggle(key="presenter-view").value and not app.toggle(key="show-answers").value


def test_the_presenters_link_carries_the_answers_once_they_are_shown(lesson_engine: FakeEngine) -> None:
    app = open_link(lesson="fooling", step="2", present="true")
    assert [code.value for code in app.code if code.value.endswith("?lesson=fooling&step=2")]
    assert not [code.value for code in app.code if "reveal" in code.value]
    app.toggle(key="show-answers").set_value(True).run()
    assert [code.value for code in app.code if code.value.endswith("?lesson=fooling&step=2&reveal=true")]
    assert app.query_params["reveal"] == "true"
    app.button(key="lesson-leave").click().run()
    assert not {"lesson", "present", "reveal"} & set(app.query_params)


def test_a_room_sees_no_sidebar_and_larger_charts(lesson_engine: FakeEngine) -> None:
    seen = [open_link(lesson="fooling", step="2", **more) for more in ({}, {"present": "true"})]
    hidden = ['[data-testid="stSidebar"]' in styles(app) for app in seen]
    assert hidden == [False, True]
    plain, large = ([heights(element) for element in app.get("plotly_chart")] for app in seen)
    assert plain and large == [pytest.approx(1.5 * height) for height in plain]


def heights(element: Any) -> float:
    import json

    return float(json.loads(element.proto.spec)["layout"]["height"])


def test_in_the_presenter_view_the_step_opens_from_the_bar(lesson_engine: FakeEngine) -> None:
    app = open_link(lesson="fooling", step="2", present="true")
    assert not [fold for fold in app.expander if LESSONS["fooling"].steps[1].title in fold.label]
    text = "\n".join(str(block.value) for block in app.markdown)
    assert f"**{LESSONS['fooling'].steps[1].title}** · step 2 of {len(LESSONS['fooling'].steps)}" in text
    assert "You would still read the picture as before." in text and len(app.radio) == 1


# The sheet ------------------------------------------------------------------------------------------------------------


class Sheet(HTMLParser):
    """Collects tags, addresses and texts, by a parser that shares nothing with what wrote them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [str(value) for name, value in attrs if name in ("src", "href", "srcset", "action", "data")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_sheet_is_made_on_demand_and_holds_the_whole_lesson(lesson_engine: FakeEngine) -> None:
    app = open_link()
    app.switch_page("app_pages/lessons.py").run()
    assert not app.get("download_button")
    app.button(key="make-sheet-fooling").click().run()
    assert not app.exception and not app.error
    page = app.session_state["lesson-sheets"]
    ((_, html),) = page.items()
    assert len(app.get("download_button")) == 1
    sheet = Sheet(html)
    lesson = LESSONS["fooling"]
    body, answers = sheet.text.split("Answers\n")
    for step in lesson.steps:
        assert step.title in body
        if step.question is not None:
            choices = step.question.choices if not callable(step.question.choices) else ()
            for choice in choices:
                fixed = re.split(r"\{\w+\}", choice.feedback.replace("*", ""))[0]
                assert fixed and fixed in answers and fixed not in body
    assert answers.count("✓ right") == lesson.questions and "✓" not in body
    natural = sum(step.case(app_bundle()).attack is None for step in lesson.steps)
    assert sheet.tags.count("img") == 3 * len(lesson.steps) - 2 * natural


def test_a_sheet_whose_attack_is_cancelled_or_refused_says_so(
    lesson_engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = open_link()
    app.switch_page("app_pages/lessons.py").run()
    with monkeypatch.context() as cancelled:
        cancelled.setattr(engine_client, "wait_attack", lambda *_: None)
        app.button(key="make-sheet-fooling").click().run()
    assert not app.exception and not app.get("download_button")
    assert [info.value for info in app.info] == [sheet_offer.UNFINISHED]
    app.button(key="make-sheet-fooling").click().run()
    assert not app.exception and len(app.get("download_button")) == 1


def app_bundle() -> Any:
    from support.fake_analysis import FakeBundle

    return FakeBundle()


def test_a_sheet_loads_nothing_runs_nothing_and_escapes_everything() -> None:
    picture = np.zeros((1, 8, 8), np.float32)
    prediction = SimpleNamespace(name=HOSTILE, label=0, confidence=1.0)
    case: Any = SimpleNamespace(
        case=None, image=picture, natural=SimpleNamespace(prediction=prediction), attack=None, attacked=None
    )
    question = Question(f"{HOSTILE}?", (Choice("{own} *is* **it**", HOSTILE, True), Choice("no", HOSTILE)))
    step = Step(HOSTILE, "{own}", HOSTILE, "workbench", lambda _: None, question)  # type: ignore[arg-type,return-value]
    lesson = Lesson("fooling", HOSTILE, HOSTILE, 5, (step,))
    cases: list[CaseAnalysis] = [case]
    html = lesson_sheet(lesson, cases)
    sheet = Sheet(html)
    assert "script" not in sheet.tags and not {"link", "iframe", "object", "embed", "a"} & set(sheet.tags)
    assert all(address.startswith("data:image/png;base64,") for address in sheet.addresses) and sheet.addresses
    assert "url(" not in html and "@import" not in html and "default-src 'none'" in html
    assert html.count("<script") == 0 and sheet.text.count(HOSTILE) >= 6
    assert "<em>is</em> <strong>it</strong>" in html
    assert ".answers { break-before: page;" in html
