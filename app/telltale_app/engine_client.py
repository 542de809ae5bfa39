"""Ask the engine for something and wait for it where people can see it: progress, time left, queue, cancel."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import streamlit as st

import telltale.engine
from telltale.analysis.results import Analysis, FewClasses, SavedReading, SweepPoint
from telltale.attacks.base import AttackResult, RandomTarget
from telltale.base.errors import CancelledError, InputError, TelltaleError
from telltale.base.parameters import ParameterValue
from telltale.kinds.response import ResponseView
from telltale_app import state, words

if TYPE_CHECKING:
    from telltale.engine import Job, JobStatus

Image = npt.NDArray[np.float32]

UNSEEN_SECONDS = 0.5
POLL_SECONDS = 0.15
FINISHED = ("done", "failed", "cancelled")


def submit_analysis(bundle: str, image: Image, alpha: float) -> Job:
    """Start the whole path for one image."""
    return submit("analyse", bundle=bundle, image=image, alpha=alpha)


def submit_attack(
    bundle: str,
    image: Image,
    attack: str,
    parameters: Mapping[str, ParameterValue],
    seed: int,
    target: int | RandomTarget | None,
) -> Job:
    """Start an attack on one image."""
    return submit(
        "attack", bundle=bundle, image=image, attack=attack, parameters=dict(parameters), seed=seed, target=target
    )


def submit(task: str, **arguments: object) -> Job:
    """Start a task; a wrong argument is shown as its sentence and ends the page."""
    try:
        return telltale.engine.get_engine().submit(task, owner=_session(), **arguments)
    except TelltaleError as error:
        st.error(str(error), icon=":material/error:")
        st.stop()


def wait_analysis(job: Job, what: str) -> Analysis:
    """Wait for an analysis."""
    result = wait(job, what)
    assert isinstance(result, Analysis)
    return result


def wait_attack(job: Job, what: str) -> AttackResult | None:
    """Wait for an attack; None, with its sentence shown, where it refuses the image or the target."""
    try:
        result = _wait(job, what)
    except InputError as error:
        st.error(str(error), icon=":material/error:")
        return None
    assert isinstance(result, AttackResult)
    return result


def respond(bundle: str, image: Image, levels: int, patch: int) -> ResponseView:
    """Return response and entropy of one image with chosen grey levels and patch side."""
    result = wait(submit("respond", bundle=bundle, image=image, levels=levels, patch=patch), "Reading the response")
    assert isinstance(result, ResponseView)
    return result


def sweep(bundle: str, natural: Image, attacked: Image, strengths: Sequence[float]) -> Sequence[SweepPoint]:
    """Return the trajectory at several strengths of one perturbation."""
    points: Sequence[SweepPoint] = wait(
        submit_sweep(bundle, natural, attacked, strengths), "Following the perturbation"
    )
    return points


def submit_sweep(bundle: str, natural: Image, attacked: Image, strengths: Sequence[float]) -> Job:
    """Start following several strengths of one perturbation."""
    return submit("sweep", bundle=bundle, natural=natural, attacked=attacked, strengths=tuple(strengths))


def submit_verdicts_along(bundle: str, natural: Image, attacked: Image, strengths: Sequence[float]) -> Job:
    """Start asking for the fused verdict at several strengths of one perturbation."""
    return submit("verdicts_along", bundle=bundle, natural=natural, attacked=attacked, strengths=tuple(strengths))


def survive(bundle: str, attacked: Image, label: int, target: int) -> Sequence[SavedReading]:
    """Return how an attacked image is read after it was saved in each file format."""
    job = submit("survive", bundle=bundle, attacked=attacked, label=label, target=target)
    readings: Sequence[SavedReading] = wait(job, "Saving the image and opening it again")
    return readings


def few_classes(bundle: str, image: Image) -> Sequence[FewClasses]:
    """Return what it takes to fool the model on one image among two, three and all classes."""
    found: Sequence[FewClasses] = wait(
        submit("few_classes", bundle=bundle, image=image), "Attacking the model among few classes"
    )
    return found


def wait(job: Job, what: str) -> Any:
    """Return a job's result; errors are shown as their sentence and end the page."""
    try:
        return _wait(job, what)
    except TelltaleError as error:
        st.error(str(error), icon=":material/error:")
        st.stop()


def _wait(job: Job, what: str) -> Any:
    """Return a job's result; a cancelled one ends the page."""
    try:
        watch(job, what, _give_up)
        return job.result()
    except CancelledError:
        st.info(f"{what} was cancelled.", icon=":material/cancel:")
        st.stop()


def watch(job: Job, what: str, give_up: Callable[[Job], None], meanwhile: Callable[[], None] | None = None) -> None:
    """Wait until a job has ended.

    A quick one appears without a flicker. A slow one shows its progress and a Cancel button, which interrupts this
    very loop: Streamlit lets a click in at every call of `st`, so the loop makes one several times a second.

    Parameters
    ----------
    job : Job
    what : str
        What is done, for people.
    give_up : callable
        Called with the job by a click on Cancel, before the page runs again.
    meanwhile : callable, optional
        Draws below a slow job's progress what can be looked at until it has ended; no widgets.
    """
    if _finished_soon(job):
        return
    with st.container(key=f"waiting-{job.id}"):
        frame = st.empty()
    with frame.container():
        with st.container(border=True):
            bar = st.progress(0.0, text=what)
            st.button("Cancel", key=f"cancel-{job.id}", icon=":material/cancel:", on_click=give_up, args=(job,))
        if meanwhile is not None:
            meanwhile()
    while (status := job.status()).state not in FINISHED:
        bar.progress(min(max(status.fraction or 0.0, 0.0), 1.0), text=progress_words(what, status))
        time.sleep(POLL_SECONDS)
    frame.empty()


def progress_words(what: str, status: JobStatus) -> str:
    """Return what a waiting person should know about a job."""
    if status.state == "queued":
        ahead = status.position or 0
        place = f"{ahead} ahead in the queue" if ahead else "next in the queue"
        return f"{what}: {place}{'. ' + status.message if status.message else ''}"
    left = f", about {words.seconds(status.seconds_left)} left" if status.seconds_left else ""
    return f"{what}{': ' + status.message if status.message else ''}{left}"


def given_up() -> bool:
    """Return whether the current case was cancelled."""
    return bool(st.session_state.get("given-up") == state.current())


def offer_to_start_again() -> None:
    """Say that the case was cancelled, with a way to start again."""
    st.info("Cancelled: this is the natural image.", icon=":material/cancel:")
    st.button("Start again", icon=":material/refresh:", key="start-again", on_click=_start_again)


def _give_up(job: Job) -> None:
    """Cancel a job and remember for which case, so that the page does not ask for it again by itself."""
    job.cancel()
    st.session_state["given-up"] = state.current()


def _session() -> str:
    """Return what tells this session from others; a rerun asks as the same one, so that one Cancel is enough."""
    return str(st.session_state.setdefault("session", uuid.uuid4().hex))


def _start_again() -> None:
    st.session_state.pop("given-up", None)


def _finished_soon(job: Job) -> bool:
    deadline = time.monotonic() + UNSEEN_SECONDS
    while time.monotonic() < deadline:
        if job.status().state in FINISHED:
            return True
        time.sleep(0.01)
    return False
