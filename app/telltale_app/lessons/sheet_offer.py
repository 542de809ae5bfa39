"""Offering a lesson's sheet: its pictures and numbers are computed first, where people can see it."""

from __future__ import annotations

import streamlit as st

from telltale_app import catalogue, emphasis, state
from telltale_app.analyses import analyse
from telltale_app.lessons import course
from telltale_app.lessons.lesson import Lesson
from telltale_app.lessons.sheet import lesson_sheet

UNFINISHED = (
    "No sheet was made: it shows attacked pictures, and an attack was cancelled or refused. *Make it* starts again."
)


def sheet_popover(lesson: Lesson) -> None:
    """Offer one lesson to print, made on demand and kept for the session."""
    with st.popover("Sheet", icon=":material/print:", help=f"To print: {lesson.title}", key=f"sheet-{lesson.name}"):
        st.markdown(
            "One file to print: texts, pictures and questions, with the answers on the last page. It carries its "
            "pictures inside."
        )
        made: dict[tuple[str, str], str] = st.session_state.setdefault("lesson-sheets", {})
        key = (catalogue.bundle(course.MODEL).id, lesson.name)
        if key not in made and st.button("Make it", icon=":material/print:", key=f"make-sheet-{lesson.name}"):
            sheet = _made(lesson)
            if sheet is None:
                st.info(UNFINISHED, icon=":material/cancel:")
            else:
                made[key] = sheet
                st.rerun()
        if key in made:
            st.download_button(
                "Download the sheet",
                made[key],
                f"telltale-lesson-{lesson.name}.html",
                "text/html",
                key=f"download-sheet-{lesson.name}",
                type=emphasis.filled(),
                icon=":material/download:",
                on_click="ignore",
            )


def _made(lesson: Lesson) -> str | None:
    """Return the sheet; None where a step's attack was cancelled or refused, as the texts speak of what it does."""
    state.open_case(state.current())  # a case that was cancelled is not to spoil the lesson's own
    bundle = catalogue.bundle(course.MODEL)
    cases = []
    for step in lesson.steps:
        case = analyse(step.case(bundle))
        if case.attack_missing:
            return None
        cases.append(case)
    return lesson_sheet(lesson, cases)
