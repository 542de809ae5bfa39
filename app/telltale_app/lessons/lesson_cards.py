"""One card per lesson: what one learns, how long it takes, how far one has come, and a link for a class."""

from __future__ import annotations

import streamlit as st

from telltale_app import emphasis, layout, state
from telltale_app.lessons import course
from telltale_app.lessons.lesson import Lesson
from telltale_app.lessons.registry import number_of
from telltale_app.lessons.sheet_offer import sheet_popover


def lesson_card(lesson: Lesson) -> None:
    """Draw the card of one lesson with its way in."""
    reached = course.furthest(lesson)
    begun, finished = reached >= 0, reached == len(lesson.steps)
    with st.container(border=True, height="stretch"):
        st.subheader(f"{number_of(lesson)}. {lesson.title}", anchor=False)
        st.markdown(lesson.learns)
        st.caption(
            f":material/schedule: {lesson.minutes} minutes · {len(lesson.steps)} steps · {lesson.questions} questions"
        )
        st.progress((max(reached, 0)) / len(lesson.steps), text=progress_words(lesson))
        with st.container(horizontal=True, vertical_alignment="center"):
            label = "Again" if finished else "Go on" if begun else "Begin"
            if st.button(
                label,
                icon=":material/play_arrow:",
                type=emphasis.filled(not finished),
                key=f"begin-{lesson.name}",
                help=f"{label}: {lesson.title}",
            ):
                if finished:
                    course.forget(lesson)
                course.go(lesson, 0 if finished else max(reached, 0))
            layout.copy_link(
                f"copies-{lesson.name}",
                state.link_to({"lesson": lesson.name}),
                "This link opens the lesson at its first step, for as many people as you like.",
                "Link",
                f"Link for a class: {lesson.title}",
            )
            sheet_popover(lesson)


def progress_words(lesson: Lesson) -> str:
    """Return how far a person has come in a lesson, in words."""
    reached, right = course.furthest(lesson), course.right_answers(lesson)
    if reached < 0:
        return "Not begun"
    answers = f"{right} of {lesson.questions} questions answered rightly"
    if reached == len(lesson.steps):
        return f"Finished, {answers}"
    return f"At step {reached + 1} of {len(lesson.steps)}, {answers}"
