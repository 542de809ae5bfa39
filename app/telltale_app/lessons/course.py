"""Where a person stands in a lesson: kept in the session, mirrored in the address beside the case."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import streamlit as st

from telltale_app import case as cases
from telltale_app import catalogue, state
from telltale_app.lessons.lesson import Lesson, Step, View
from telltale_app.lessons.registry import LESSONS

MODEL = "signs"  # a network small enough to answer at once, on pictures that everybody can read
KEYS = ("lesson", "step", "present", "reveal")
PRESENTER_SWITCH = "presenter-view"
ANSWERS_SWITCH = "show-answers"
OWN_CASE = "case-before-lesson"


@dataclass(frozen=True)
class Place:
    """One step of one lesson.

    Attributes
    ----------
    lesson : Lesson
    index : int
        From 0.
    """

    lesson: Lesson
    index: int

    @property
    def step(self) -> Step:
        """The step itself."""
        return self.lesson.steps[self.index]

    @property
    def last(self) -> bool:
        """Whether no step follows."""
        return self.index == len(self.lesson.steps) - 1

    def to_query(self) -> dict[str, str]:
        """Return what a link carries of it."""
        return {"lesson": self.lesson.name, "step": str(self.index + 1)}


def problem() -> str | None:
    """Return why no lesson can be held here; None where they can."""
    if MODEL not in catalogue.bundle_names():
        return f"The lessons are about the model '{MODEL}', which is not on this machine."
    return catalogue.bundle(MODEL).data_problem


def current() -> Place | None:
    """Return where the person stands, or None outside lessons."""
    place: Place | None = st.session_state.get("lesson-place")
    return place


def take_presenting() -> None:
    """Take the presenter view's switch into the session; for widget callbacks."""
    st.session_state[state.PRESENTING] = st.session_state[PRESENTER_SWITCH]


def revealing() -> bool:
    """Return whether the right answers are marked."""
    return bool(st.session_state.get("lesson-revealing"))


def take_revealing() -> None:
    """Take the switch of the answers into the session; for widget callbacks."""
    st.session_state["lesson-revealing"] = st.session_state[ANSWERS_SWITCH]


def link(place: Place) -> str:
    """Return the whole link of a step for a room, with its answers marked where they are here."""
    return state.link_to({**place.to_query(), "reveal": "true"} if revealing() else place.to_query())


def moves() -> int:
    """Return how often this session has gone to a step, so that pages know when to bring it in sight."""
    return int(st.session_state.get("lesson-moves", 0))


def synchronise() -> None:
    """Bring session and address together, before the case is: a link without a case opens the step's own.

    As for the case, a fresh session follows the address and the address follows the session later, except after "back"
    and "forward".
    """
    seen = {key: str(st.query_params[key]) for key in KEYS if key in st.query_params}
    fresh = "lesson-place" not in st.session_state
    if fresh:
        _note_written(seen)
    if fresh or (seen and seen != st.session_state["lesson-query"] and _settled()):
        found = _place_of(seen)
        st.session_state["lesson-place"] = found
        for switch, key in ((state.PRESENTING, "present"), ("lesson-revealing", "reveal")):
            st.session_state[switch] = found is not None and seen.get(key) == "true"  # switched off in a lesson's bar
    place = current()
    if fresh and place is not None and not any(key in st.query_params for key in cases.KEYS):
        go(place.lesson, place.index)
    _write_address()


def go(lesson: Lesson, index: int) -> None:
    """Open a step on its page with its case, and end this run."""
    bundle = catalogue.bundle(MODEL)
    place = Place(lesson, index)
    if current() is None and "case" in st.session_state:
        st.session_state[OWN_CASE] = state.current()
    st.session_state["lesson-moves"] = moves() + 1
    _take_place(place)
    _show_as(place.step.view(bundle))
    state.open_case(place.step.case(bundle))
    st.switch_page(place.step.script, query_params={**state.current().to_query(), **_query()})


def shown(place: Place) -> bool:
    """Return whether the current case is the step's, at whatever false-alarm rate."""
    meant = place.step.case(catalogue.bundle(MODEL))
    return replace(state.current(), alpha=meant.alpha) == meant


def leave() -> None:
    """End the lesson; a case of the lesson's own makes room for the one before."""
    place, own = current(), st.session_state.pop(OWN_CASE, None)
    if own is not None and place is not None and shown(place):
        state.open_case(own)
    _take_place(None)
    st.session_state[state.PRESENTING] = st.session_state["lesson-revealing"] = False


def forget(lesson: Lesson) -> None:
    """Forget how far a lesson had come and what was answered."""
    rounds = st.session_state.setdefault("lesson-rounds", {})
    rounds[lesson.name] = rounds.get(lesson.name, 0) + 1
    st.session_state.get("lesson-furthest", {}).pop(lesson.name, None)
    answers = st.session_state.get("lesson-answers", {})
    st.session_state["lesson-answers"] = {key: right for key, right in answers.items() if key[0] != lesson.name}


def answer_key(place: Place) -> str:
    """Return the key of a step's question; another one once the lesson has been reset."""
    attempt = st.session_state.get("lesson-rounds", {}).get(place.lesson.name, 0)
    return f"answer-{place.lesson.name}-{place.index}-{attempt}"


def note_answer(place: Place, right: bool) -> None:
    """Keep whether a step's question has been answered rightly."""
    st.session_state.setdefault("lesson-answers", {})[place.lesson.name, place.index] = right


def finish(lesson: Lesson) -> None:
    """Note that the last step is done, and leave."""
    st.session_state.setdefault("lesson-furthest", {})[lesson.name] = len(lesson.steps)
    leave()


def furthest(lesson: Lesson) -> int:
    """Return how many steps of a lesson have been opened, and one more once it is finished, less one."""
    return int(st.session_state.get("lesson-furthest", {}).get(lesson.name, -1))


def right_answers(lesson: Lesson) -> int:
    """Return how many of a lesson's questions are answered rightly at the moment."""
    answers = st.session_state.get("lesson-answers", {})
    return sum(right for (name, _), right in answers.items() if name == lesson.name)


def _take_place(place: Place | None) -> None:
    st.session_state["lesson-place"] = place
    if place is not None:
        steps = st.session_state.setdefault("lesson-furthest", {})
        steps[place.lesson.name] = max(place.index, steps.get(place.lesson.name, 0))


def _show_as(view: View) -> None:
    """Give the page's own controls the values that the step asks for."""
    for key, value in view.items():
        st.session_state[key] = value


def _place_of(seen: Mapping[str, str]) -> Place | None:
    """Read a place from a link; an unknown lesson is none, an unknown step is the first."""
    lesson = LESSONS.get(seen.get("lesson", ""))
    if lesson is None or problem() is not None:
        return None
    text = seen.get("step", "1")
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 4 else 1
    return Place(lesson, number - 1 if 1 <= number <= len(lesson.steps) else 0)


def _query() -> dict[str, str]:
    place = current()
    if place is None:
        return {}
    switches = {"present": state.presenting(), "reveal": revealing()}
    return {**place.to_query(), **{key: "true" for key, on in switches.items() if on}}


def _write_address() -> None:
    query = _query()
    if any(st.query_params.get(key) != query.get(key) for key in KEYS):
        for key in KEYS:
            st.query_params.pop(key, None)
        st.query_params.update(query)
    if st.session_state["lesson-query"] != query:
        _note_written(query)


def _note_written(query: Mapping[str, str]) -> None:
    st.session_state["lesson-query"] = query
    st.session_state["lesson-written-at"] = time.monotonic()


def _settled() -> bool:
    return bool(time.monotonic() - st.session_state["lesson-written-at"] > state.SETTLING_SECONDS)
