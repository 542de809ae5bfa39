"""The bar above a page while a lesson runs: where one stands, what to see, a question, and the way on."""

from __future__ import annotations

import streamlit as st

from telltale_app import catalogue, emphasis, layout, state
from telltale_app.analyses import CaseAnalysis, analyse
from telltale_app.lessons import course
from telltale_app.lessons.course import Place
from telltale_app.lessons.facts import filled
from telltale_app.lessons.lesson import Question
from telltale_app.lessons.registry import number_of

PRESENTER_STYLE = "<style>html { font-size: 150%; }</style>"
"""Streamlit sets its sizes relative to the root's, and offers no other way to change them for one person."""
IN_SIGHT_STYLE = """<style>
@media (min-width: 40rem) {
  [data-testid="stLayoutWrapper"]:has(> .st-key-lesson-controls) {
    position: sticky; top: 3.75rem; z-index: 90; padding-block: 0.4rem; background: %s;
  }
  [data-testid="stMain"] { scroll-padding-top: 9rem; }
}
</style>"""
"""Keeps the way on in sight while one reads the page below, above charts and chosen buttons, which Streamlit lifts; on
narrow screens it would cover too much of the page."""


def lesson_bar(url_path: str) -> None:
    """Draw the bar above the page of this address; nothing outside lessons."""
    place = course.current()
    if place is None or url_path == "lessons":
        return
    _controls(place)
    with st.container(border=True, key="lesson-bar"):
        astray = _astray(place, url_path)
        if astray is None:
            _step(place)
        else:
            _way_back(place, astray)


def _controls(place: Place) -> None:
    lesson, index = place.lesson, place.index
    st.html(IN_SIGHT_STYLE % layout.theme_colour("backgroundColor"))
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="lesson-controls"):
        st.markdown(
            f":material/school: **Lesson {number_of(lesson)}: {lesson.title}** · step {index + 1} of "
            f"{len(lesson.steps)}",
            width="stretch",
        )
        if st.button("Back", icon=":material/arrow_back:", key="lesson-back", disabled=index == 0):
            course.go(lesson, index - 1)
        if place.last:
            if st.button("Finish", icon=":material/flag:", type=emphasis.filled(), key="lesson-finish"):
                course.finish(lesson)
                st.switch_page("app_pages/lessons.py", query_params=state.current().to_query())
        elif st.button("Next", icon=":material/arrow_forward:", type=emphasis.filled(), key="lesson-next"):
            course.go(lesson, index + 1)
        if st.button("Reset", icon=":material/restart_alt:", key="lesson-reset", help="Start this lesson afresh"):
            course.forget(lesson)
            course.go(lesson, 0)
        st.button(
            "Leave",
            icon=":material/close:",
            key="lesson-leave",
            help="End the lesson: your own case comes back, unless you have gone on with this one",
            on_click=course.leave,
        )
        st.toggle(
            "Presenter view",
            **state.widget_value(course.PRESENTER_SWITCH, course.presenting()),
            key=course.PRESENTER_SWITCH,
            on_change=course.take_presenting,
            help="Large type, for a room to read along",
        )
    if course.presenting():
        st.html(PRESENTER_STYLE)


def _astray(place: Place, url_path: str) -> str | None:
    """Return in words how the person has left what the step is about; None where they have not."""
    if state.current().bundle != course.MODEL:
        title = catalogue.bundle(course.MODEL).manifest.title
        return f"You have chosen another model. This lesson is about the model “{title}”."
    if not course.shown(place):
        return "You have gone on with a case of your own. Look around as long as you like."
    if url_path != place.step.url_path:
        return "You have gone to another page. Look around as long as you like."
    return None


def _way_back(place: Place, astray: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f":material/alt_route: {astray}", width="stretch")
        if st.button("Return to the step", icon=":material/undo:", key="lesson-return"):
            course.go(place.lesson, place.index)


def _step(place: Place) -> None:
    step = place.step
    waiting = st.empty()
    with st.skeleton(height=180), waiting.container():
        case = analyse(state.current(), announce=False)
    waiting.empty()  # else its rows leave a gap
    st.subheader(step.title, anchor=False)
    if case.case.attack is not None and case.attack is None:
        st.info("This step shows an attacked picture, and the attack has been cancelled.", icon=":material/cancel:")
        return
    st.markdown(filled(step.text, case, place.lesson.facts))
    way = f" :material/arrow_downward: [Take me there](#{step.anchor})" if step.anchor else ""
    st.markdown(f":material/visibility: **Look at** {filled(step.look, case, place.lesson.facts)}{way}")
    if step.question is not None:
        _question(place, step.question, case)


def _question(place: Place, question: Question, case: CaseAnalysis) -> None:
    choices = question.choices_for(case)
    texts = [filled(choice.text, case, place.lesson.facts) for choice in choices]
    chosen = st.radio(
        f":material/help: **{filled(question.text, case, place.lesson.facts)}**",
        range(len(choices)),
        index=None,
        format_func=texts.__getitem__,
        key=course.answer_key(place),
        persist_state="session",
    )
    if chosen is None:
        return
    choice = choices[chosen]
    course.note_answer(place, choice.right)
    said = filled(choice.feedback, case, place.lesson.facts)
    with st.container(key=f"lesson-answer-{chosen}"):
        if choice.right:
            st.success(f"**Right.** {said}", icon=":material/check_circle:")
        else:
            st.info(f"**Not quite.** {said}", icon=":material/lightbulb:")
