"""A step's question in the bar: its answers, and what is said of the chosen one."""

from __future__ import annotations

import streamlit as st

from telltale_app.analyses import CaseAnalysis
from telltale_app.lessons import course
from telltale_app.lessons.course import Place
from telltale_app.lessons.facts import filled
from telltale_app.lessons.lesson import Choice, Question

MARK = ":green[:material/check_circle: the right answer]"


def lesson_question(place: Place, question: Question, case: CaseAnalysis) -> None:
    """Ask; the right answer is marked for whoever came by a link that reveals it.

    The mark stands below the answer: a radio knows what was chosen by its text, and would forget it if that changed.
    """
    own, revealing = place.lesson.facts, course.revealing()
    choices = question.choices_for(case)
    texts = [filled(choice.text, case, own) for choice in choices]
    chosen = st.radio(
        f":material/help: **{filled(question.text, case, own)}**",
        range(len(choices)),
        index=None,
        format_func=texts.__getitem__,
        key=course.answer_key(place),
        captions=[MARK if choice.right else "" for choice in choices] if revealing else None,
        persist_state="session",
    )
    if chosen is not None:
        choice = choices[chosen]
        course.note_answer(place, choice.right)
        with st.container(key=f"lesson-answer-{chosen}"):
            _said(choice, filled(choice.feedback, case, own))
    elif revealing:
        for choice in choices:
            if choice.right:
                st.success(f"**The answer.** {filled(choice.feedback, case, own)}", icon=":material/check_circle:")


def _said(choice: Choice, feedback: str) -> None:
    if choice.right:
        st.success(f"**Right.** {feedback}", icon=":material/check_circle:")
    else:
        st.info(f"**Not quite.** {feedback}", icon=":material/lightbulb:")
