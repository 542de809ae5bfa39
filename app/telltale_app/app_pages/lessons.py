"""Lessons: six short walks over the real pages."""

from __future__ import annotations

import streamlit as st

from telltale_app import layout, state
from telltale_app.lessons import course
from telltale_app.lessons.lesson_cards import lesson_card
from telltale_app.lessons.registry import LESSONS

layout.opening(
    "Lessons",
    "Six walks over the real pages, about five minutes each. A bar above the page says where to look and asks a "
    "question; you can wander off at any time and return to the step. A lesson brings its own pictures, and your case "
    "comes back when you leave it.",
)
problem = course.problem()
if problem is not None:
    st.info(problem, icon=":material/school:")
    st.stop()
if state.current().bundle != course.MODEL:
    st.info(
        "The lessons are about drawn road signs. Beginning one leaves the model that you have chosen.",
        icon=":material/model_training:",
    )
for row in range(0, len(LESSONS), 2):
    for column, lesson in zip(st.columns(2, gap="medium"), list(LESSONS.values())[row : row + 2], strict=False):
        with column:
            lesson_card(lesson)
st.caption(
    "In class: give everybody a lesson's link. It opens the same pictures with the same numbers for all, computed "
    "once. *More* in the bar holds the presenter view, with large type and charts, and a link that marks the answers "
    "for all; *Sheet* is a lesson to print."
)
