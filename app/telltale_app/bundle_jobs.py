"""Work about a whole bundle, such as why its model errs: computed once by the engine, shared by all sessions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import streamlit as st

from telltale.base.errors import TelltaleError
from telltale_app import engine_client

if TYPE_CHECKING:
    from telltale.bundle import Bundle
    from telltale.engine import Job


def result_of(
    task: str, bundle: Bundle, what: str, meanwhile: Callable[[], None] | None = None, **arguments: object
) -> Any | None:
    """Return the result of a task about a bundle, waiting where people can see it.

    The rest of the page goes on without one where the task was cancelled, which offers to start it again, or refused.

    Parameters
    ----------
    task : str
        Takes the bundle's name, and `arguments`.
    bundle : Bundle
    what : str
        What is done, for people.
    meanwhile : callable, optional
        Draws what can be looked at while the task takes long; no widgets.
    **arguments
        What the task takes besides.
    """
    stopped = "-".join(["stopped", task, bundle.id, *map(str, arguments.values())])
    if st.session_state.get(stopped):
        st.info(f"{what} was cancelled.", icon=":material/cancel:")
        st.button("Start again", icon=":material/refresh:", key=f"again-{task}", on_click=_forget, args=(stopped,))
        return None
    job = engine_client.submit(task, bundle=bundle.name, **arguments)
    try:
        engine_client.watch(job, what, lambda given_up: _stop(given_up, stopped), meanwhile)
        return job.result()
    except TelltaleError as error:
        st.error(str(error), icon=":material/error:")
        return None


def _stop(job: Job, stopped: str) -> None:
    job.cancel()
    st.session_state[stopped] = True


def _forget(stopped: str) -> None:
    st.session_state.pop(stopped, None)
