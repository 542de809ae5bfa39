"""The bar above a page while a lesson runs: where one stands, what to see, a question, and the way on."""

from __future__ import annotations

import streamlit as st

from telltale_app import catalogue, emphasis, scripts, state
from telltale_app.analyses import analyse
from telltale_app.lessons import bar_style, course
from telltale_app.lessons.course import Place
from telltale_app.lessons.facts import filled
from telltale_app.lessons.lesson_menu import lesson_menu
from telltale_app.lessons.lesson_question import lesson_question
from telltale_app.lessons.registry import number_of


def lesson_bar(url_path: str) -> None:
    """Draw the bar above the page of this address, where it stays; nothing outside lessons."""
    place = course.current()
    if place is None or url_path == "lessons":
        return
    st.html(bar_style.style(state.presenting()))
    astray = _astray(place, url_path)
    with st.container(key="lesson-bar", gap="xxsmall"):
        scripts.run(scripts.BRING_IN_SIGHT, lesson_move=course.moves(), lesson_anchor=place.step.anchor)
        if state.presenting():
            _line(place, astray)
        else:
            _whole(place, astray)


def _whole(place: Place, astray: str | None) -> None:
    """Draw the bar of somebody alone: one row, and below it the step, which folds."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="lesson-controls"):
        st.markdown(
            f":material/school: **Lesson {number_of(place.lesson)}: {place.lesson.title}** · {_standing(place)}",
            width="stretch",
        )
        _buttons(place)
    if astray is not None:
        with st.container(border=True):
            _way_back(place, astray)
        return
    with st.expander(f"**{place.step.title}**", expanded=True, key="lesson-step"):
        _step(place)


def _line(place: Place, astray: str | None) -> None:
    """Draw the bar before a room: one row, from which the step opens over the page."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="lesson-controls"):
        st.markdown(f"**{place.step.title}** · {_standing(place)}", width="stretch")
        shown = st.popover("Text and question", icon=":material/menu_book:", key="lesson-text")
        _buttons(place)
    with shown:
        if astray is None:
            _step(place)
        else:
            _way_back(place, astray)


def _standing(place: Place) -> str:
    return f"step {place.index + 1} of {len(place.lesson.steps)}"


def _buttons(place: Place) -> None:
    lesson, index = place.lesson, place.index
    if st.button("Back", icon=":material/arrow_back:", key="lesson-back", disabled=index == 0):
        course.go(lesson, index - 1)
    if place.last:
        if st.button("Finish", icon=":material/flag:", type=emphasis.filled(), key="lesson-finish"):
            course.finish(lesson)
            st.switch_page("app_pages/lessons.py", query_params=state.current().to_query())
    elif st.button("Next", icon=":material/arrow_forward:", type=emphasis.filled(), key="lesson-next"):
        course.go(lesson, index + 1)
    lesson_menu(place)


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
    step, own = place.step, place.lesson.facts
    waiting = st.empty()
    with st.skeleton(height=120), waiting.container():
        case = analyse(state.current(), announce=False)
    waiting.empty()  # else its rows leave a gap
    if case.attack_missing:
        st.info("This step shows an attacked picture, and the attack has been cancelled.", icon=":material/cancel:")
        return
    text, asked = st.columns(2, gap="medium") if step.question is not None else (st.container(), None)
    with text:
        st.markdown(filled(step.text, case, own))
        way = f" :material/arrow_downward: [Take me there](#{step.anchor})" if step.anchor else ""
        st.markdown(f":material/visibility: **Look at** {filled(step.look, case, own)}{way}")
    if step.question is not None and asked is not None:
        with asked:
            lesson_question(place, step.question, case)
