"""Offering a lesson's sheet: its pictures and numbers are computed first, where people can see it."""

from __future__ import annotations

import streamlit as st

from telltale_app import catalogue, emphasis, state
from telltale_app.analyses import analyse
from telltale_app.lessons import course
from telltale_app.lessons.lesson import Lesson
from telltale_app.lessons.sheet import lesson_sheet


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
            made[key] = _made(lesson)
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


def _made(lesson: Lesson) -> str:
    state.open_case(state.current())  # a case that was cancelled is not to spoil the lesson's own
    bundle = catalogue.bundle(course.MODEL)
    return lesson_sheet(lesson, [analyse(step.case(bundle)) for step in lesson.steps])
