"""Saved cases as cards: what each is, and what can be done with it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from telltale.base.errors import InputError, TelltaleError
from telltale.cases import exporting, wording
from telltale.cases.pixels import read_png
from telltale.cases.record import CaseRecord, SavedCase
from telltale_app import cases, catalogue, emphasis, pictures, state, words
from telltale_app.case import from_query
from telltale_app.panels import case_report
from telltale_app.panels.save_case import allowed

if TYPE_CHECKING:
    from telltale.cases.store import CaseStore

PER_PAGE = 8
THUMBNAIL = 72
AT_ONCE = 2
COMPARED, PAGE = "compared-cases", "case-page"
MARKDOWN = "\\`*_{}()<>#+-!|~$:"


def case_list(store: CaseStore) -> None:
    """Draw search, tags, and the cases that fit, the latest first."""
    search, tagged = st.columns([3, 2])
    with search:
        text = st.text_input(
            "Search", key="case-search", placeholder="note, tag, class, attack or model", on_change=_first_page
        )
    with tagged:
        tags = st.multiselect("Tags", store.tags(), key="case-tags", placeholder="any", on_change=_first_page)
    page = st.session_state.get(PAGE, 1)
    try:
        found = store.find(text, tags, (page - 1) * PER_PAGE, PER_PAGE)
    except InputError as error:
        st.info(str(error), icon=":material/search_off:")
        return
    if found.total and not found.cases and not found.unreadable:  # somebody else has emptied this page
        _first_page()
        found = store.find(text, tags, 0, PER_PAGE)
    if found.total == 0:
        _nothing(bool(text or tags))
        return
    st.caption(f"{found.total:,} {'case' if found.total == 1 else 'cases'}, the latest first.")
    for saved in found.cases:
        _card(saved, store)
    for case_id in found.unreadable:
        _damaged_card(case_id, store)
    pages = -(-found.total // PER_PAGE)
    if pages > 1:
        st.pagination(pages, key=PAGE)


def compared() -> tuple[str, ...]:
    """Return the ids of the cases that are ticked, in the order of ticking."""
    ids: tuple[str, ...] = st.session_state.get(COMPARED, ())
    return ids


def forget(case_id: str) -> None:
    """Untick a case that is gone."""
    st.session_state[COMPARED] = tuple(other for other in compared() if other != case_id)


def both_pictures(saved: SavedCase, side: int) -> None:
    """Show a case's natural image and, beside it, the attacked one."""
    numbers = saved.record.numbers
    with st.container(horizontal=True, gap="small"):
        pictures.show(read_png(saved.natural_png), f"Natural image, read as {numbers.natural.prediction}", side=side)
        if saved.attacked_png is not None and numbers.attacked is not None:
            alt = f"Attacked image, read as {numbers.attacked.prediction}"
            pictures.show(read_png(saved.attacked_png), alt, side=side)


def title(record: CaseRecord) -> str:
    """Return a case's title: the image, what was done to it, what it is read as now."""
    numbers = record.numbers
    change = "" if numbers.attacked is None else f" → {numbers.attacked.prediction}"
    return f"{record.title}: {numbers.natural.prediction}{change}, {wording.attack_title(record.settings)}"


def _nothing(searched: bool) -> None:
    if searched:
        st.info("No saved case fits this search.", icon=":material/search_off:")
        return
    st.info(
        "No case has been saved here yet. Choose an image, attack it, and press **Save case** beside any page.",
        icon=":material/bookmark:",
    )
    st.page_link("app_pages/workbench.py", label="Open the workbench", icon=":material/science:")


def _card(saved: SavedCase, store: CaseStore) -> None:
    record = saved.record
    with st.container(border=True, key=f"case-{record.id}"):
        shown, said, actions = st.columns([2, 5, 3], vertical_alignment="center")
        with shown:
            both_pictures(saved, THUMBNAIL)
        with said.container(gap="xsmall"):
            _words(record)
        with actions.container(gap="small"):
            _actions(saved, store)


def _damaged_card(case_id: str, store: CaseStore) -> None:
    with st.container(border=True, key=f"case-{case_id}"):
        st.markdown(
            f":material/broken_image: The case `{_plain(case_id)}` is damaged or was saved by another version; "
            "it cannot be shown."
        )
        _deletion(store, case_id)


def _words(record: CaseRecord) -> None:
    st.markdown(f"**{_plain(title(record))}**")
    judged = record.numbers.judged
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        if judged.fused is not None:
            text, icon, colour = words.fused_words(judged.fused.kind)
            st.badge(text, icon=icon, color=colour)
        for tag in record.tags:
            st.badge(_plain(tag, MARKDOWN), icon=":material/label:", color="gray")
    if record.note:
        st.text(record.note)
    st.caption(
        f"{wording.noticed_words(judged, record.settings.alpha)} {record.settings.bundle}{_other_build(record)}, "
        f"saved {wording.moment(record.saved_at)}"
    )


def _actions(saved: SavedCase, store: CaseStore) -> None:
    record = saved.record
    opens = st.button(
        "Open",
        key=f"open-{record.id}",
        type=emphasis.filled(),
        icon=":material/science:",
        width="stretch",
        help=f"Go on with {record.title} in the workbench.",
    )
    if opens:
        _open(saved)
    key = f"compare-{record.id}"
    st.checkbox(
        "Compare", **state.widget_value(key, record.id in compared()), key=key, on_change=_tick, args=(record.id,)
    )
    with st.container(horizontal=True, gap="small"):
        with st.popover("Export", icon=":material/download:", key=f"export-{record.id}"):
            _downloads(saved)
        _deletion(store, record.id)


def _deletion(store: CaseStore, case_id: str) -> None:
    if allowed():
        with st.popover("Delete", icon=":material/delete:", key=f"delete-{case_id}"):
            _confirmation(store, case_id)


def _confirmation(store: CaseStore, case_id: str) -> None:
    st.markdown("Delete this case for everyone? This cannot be undone.")
    st.button(
        "Delete it",
        key=f"delete-now-{case_id}",
        type=emphasis.filled(),
        icon=":material/delete_forever:",
        on_click=_delete,
        args=(store, case_id),
    )


def _downloads(saved: SavedCase) -> None:
    stem = exporting.file_stem(saved)
    st.download_button(
        "Report (HTML)",
        partial(case_report.report_of, saved, state.link_to({})),
        f"{stem}.html",
        "text/html",
        key=f"report-{saved.record.id}",
        icon=":material/description:",
        on_click="ignore",
        width="stretch",
        help="One file with pictures, verdicts, the training images that decided, and numbers, for people without "
        "Telltale. It takes a few seconds.",
    )
    st.download_button(
        "Case (zip)",
        partial(exporting.to_zip, saved),
        f"{stem}.zip",
        "application/zip",
        key=f"zip-{saved.record.id}",
        icon=":material/folder_zip:",
        on_click="ignore",
        width="stretch",
        help="Exact PNGs, JSON, CSV and a script that computes the numbers again; can be imported here.",
    )


def _open(saved: SavedCase) -> None:
    try:
        case, warnings = from_query(cases.to_case(saved).to_query())
    except TelltaleError as error:
        st.error(str(error), icon=":material/error:")
        return
    state.open_case(case)
    st.session_state.case_warnings = warnings
    cases.remember_opened(saved, case)
    st.switch_page("app_pages/workbench.py", query_params=case.to_query())


def _first_page() -> None:
    st.session_state[PAGE] = 1


def _tick(case_id: str) -> None:
    """Take a case into the comparison or out of it; a third one takes the place of the first."""
    others = tuple(other for other in compared() if other != case_id)
    ticked = st.session_state[f"compare-{case_id}"]
    st.session_state[COMPARED] = (*others, case_id)[-AT_ONCE:] if ticked else others
    if ticked:  # the list stays where it is, so what appears above it would go unseen
        st.toast("Side by side at the top of this page." if others else "Its numbers are at the top of this page.")


def _delete(store: CaseStore, case_id: str) -> None:
    try:
        store.delete(case_id)
    except TelltaleError as error:
        st.session_state["case-problem"] = str(error)
        return
    forget(case_id)
    _first_page()
    st.session_state["case-done"] = "The case is deleted."


def _other_build(record: CaseRecord) -> str:
    """Say where the model of that name is another than the one that computed the numbers."""
    try:
        same = catalogue.bundle(record.settings.bundle).id == record.bundle_id
    except InputError:
        return " (not on this machine)"
    return "" if same else " (another build than the one here)"


def _plain(text: str, special: str = f"{MARKDOWN}[]") -> str:
    """Return text that Markdown leaves as it is; badges escape brackets themselves."""
    return "".join(f"\\{c}" if c in special else c for c in text)
