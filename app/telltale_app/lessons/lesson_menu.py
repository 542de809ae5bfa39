"""What the bar of a lesson offers besides the way on: for a room, for others, and the ways out."""

from __future__ import annotations

import streamlit as st

from telltale_app import state
from telltale_app.lessons import course
from telltale_app.lessons.course import Place


def lesson_menu(place: Place) -> None:
    """Offer presenter view, answers, the step's link, to start afresh and to leave."""
    with st.popover("More", icon=":material/more_horiz:", key="lesson-menu"):
        st.toggle(
            "Presenter view",
            **state.widget_value(course.PRESENTER_SWITCH, state.presenting()),
            key=course.PRESENTER_SWITCH,
            on_change=course.take_presenting,
            help="Large type and charts, for a room to read along",
        )
        st.toggle(
            "Show the answers",
            **state.widget_value(course.ANSWERS_SWITCH, course.revealing()),
            key=course.ANSWERS_SWITCH,
            on_change=course.take_revealing,
            help="Marks the right answers here, and for everybody who opens the link below",
        )
        st.markdown("This step for everybody" + (", with its answers:" if course.revealing() else ":"))
        st.code(course.link(place), language=None, wrap_lines=True)
        with st.container(horizontal=True):
            if st.button("Reset", icon=":material/restart_alt:", key="lesson-reset"):
                course.forget(place.lesson)
                course.go(place.lesson, 0)
            st.button("Leave", icon=":material/close:", key="lesson-leave", on_click=course.leave)
        st.caption(
            "*Reset* starts the lesson afresh. *Leave* ends it: your own case comes back, unless you have gone on with "
            "this one."
        )
