"""Pinned cases: kept beside the current one to be compared with it, in the session and, where short, in the link."""

from __future__ import annotations

import streamlit as st

from telltale_app import state
from telltale_app.case import KEYS, Case, from_query

MOST = 2
KEY = "pin"
LONGEST_TEXT = 2_000
BETWEEN_FIELDS, BETWEEN_CASES = "!", ","


def synchronise() -> None:
    """Take the pins from the address in a fresh session; later, the session leads and the address follows."""
    if "pins" not in st.session_state:
        st.session_state.pins = _read(str(st.query_params.get(KEY, "")))
    _write_address()


def pinned() -> tuple[Case, ...]:
    """Return the pinned cases, the oldest first."""
    cases: tuple[Case, ...] = st.session_state.get("pins", ())
    return cases


def pin() -> None:
    """Pin the current case; the oldest makes room. For widget callbacks."""
    _keep((*pinned(), state.current())[-MOST:])


def unpin(case: Case) -> None:
    """Let one case go; for widget callbacks."""
    _keep(tuple(other for other in pinned() if other != case))


def unpin_all() -> None:
    """Let every case go; for widget callbacks."""
    _keep(())


def _keep(cases: tuple[Case, ...]) -> None:
    st.session_state.pins = cases
    _write_address()


def _write_address() -> None:
    text = BETWEEN_CASES.join(BETWEEN_FIELDS.join(case.to_query()[key] for key in KEYS) for case in pinned())
    if text and len(text) <= LONGEST_TEXT:
        if st.query_params.get(KEY) != text:
            st.query_params[KEY] = text
    elif KEY in st.query_params:
        del st.query_params[KEY]


def _read(text: str) -> tuple[Case, ...]:
    """Return the cases that a link pins; what is wrong with one falls back as it does for the case itself."""
    parts = [part.split(BETWEEN_FIELDS) for part in text.split(BETWEEN_CASES) if part]
    whole = [part for part in parts if len(part) == len(KEYS)]
    return tuple(from_query(dict(zip(KEYS, part, strict=True)))[0] for part in whole[:MOST])
