"""The one case of a session: kept in session state, mirrored in the address of every page."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

import streamlit as st

from telltale.base.parameters import validate_parameters
from telltale_app import catalogue
from telltale_app.case import KEYS, Case, from_query, opening_case
from telltale_app.link_images import true_label

if TYPE_CHECKING:
    from telltale.bundle import Bundle

SETTLING_SECONDS = 2.0
UPLOAD = "Upload"
PRESENTING = "lesson-presenting"
PRESENTER_SCALE = 1.5


def synchronise() -> None:
    """Bring session and address together at the start of a run.

    A fresh session takes its case from the address. Later, the session leads and the address follows, except after
    "back" or "forward", which are recognised by an address that names another case than the one written last. The
    browser answers a change of address with a delay, so nothing is taken from it shortly after a change, and nothing
    at all in the run that a change on a page began, however long that took to get here.
    """
    seen = {key: str(value) for key, value in st.query_params.items() if key in KEYS}
    state = st.session_state
    settled = time.monotonic() - state.get("case_written_at", 0.0) > SETTLING_SECONDS
    leads = state.pop("case_leads", False)
    if "case" not in state or (seen and seen != state.get("case_query") and settled and not leads):
        state.case, state.case_warnings = from_query(seen)
    write_address()


def write_address() -> None:
    """Write the session's case into the address, at once, so that "back" leads to whole cases; the rest stays."""
    query = current().to_query()
    if any(st.query_params.get(key) != value for key, value in query.items()):
        st.query_params.update(query)
    if st.session_state.get("case_query") != query:
        st.session_state.case_query = query
        st.session_state.case_written_at = time.monotonic()


def current() -> Case:
    """Return the session's case."""
    case: Case = st.session_state.case
    return case


def current_bundle() -> Bundle:
    """Return the bundle of the session's case."""
    return catalogue.bundle(current().bundle)


def change(**fields: Any) -> None:
    """Replace fields of the case, and forget that it was cancelled; for widget callbacks, which run before the page."""
    st.session_state.pop("given-up", None)
    _lead_with(replace(current(), **fields))


def open_case(case: Case) -> None:
    """Go to another case as a whole, and forget that the one before was cancelled."""
    st.session_state.pop("given-up", None)
    _lead_with(case)


def change_bundle(name: str) -> None:
    """Go to another model, with an example of its own; for widget callbacks."""
    st.session_state.pop("last_attack", None)  # its target is a class of the model before
    _lead_with(opening_case(catalogue.bundle(name)))


def _lead_with(case: Case) -> None:
    """Take a case that was chosen on a page; the address that came with that click is the one before."""
    st.session_state.case = case
    st.session_state.case_warnings = ()
    st.session_state.case_leads = True


def pick_image(reference: str) -> None:
    """Choose another image and leave it natural; for widget callbacks."""
    change(image=reference, attack=None, parameters=(), target=None)


def take_test_image(bundle: Bundle, image_id: int, attack: str) -> None:
    """Choose a test image, attacked as the stored scores' attacks were run; natural where `attack` is ""."""
    reference = f"test-{image_id}"
    if not attack:
        pick_image(reference)
        return
    spec = catalogue.attack_parameters(attack)
    values = validate_parameters(spec, bundle.attack_parameters(attack), catalogue.attack_title(attack))
    change(image=reference, attack=attack, parameters=tuple(values.items()), target=None, seed=bundle.manifest.seed)


def source_key(bundle: str) -> str:
    """Return the key under which a session holds where images are picked from on the workbench."""
    return f"image-source-{bundle}"


def ask_for_upload() -> None:
    """Let the workbench ask for a file; for widget callbacks."""
    st.session_state[source_key(current().bundle)] = UPLOAD


def attack_by_default() -> None:
    """Attack the current image with the default attack, set as behind the stored scores; for widget callbacks."""
    spec = catalogue.attacks()[catalogue.DEFAULT_ATTACK]
    values = validate_parameters(spec.parameters, current_bundle().attack_parameters(spec.name), spec.title)
    change(attack=spec.name, parameters=tuple(values.items()), target=None, seed=0)


def widget_value(key: str, value: Any) -> dict[str, Any]:
    """Return the ``value`` argument of the widget that is drawn next, so that it shows what the session holds.

    Where session and widget agree, the value is the widget's default: another page's widget of the same key is drawn
    anew in the browser, which then knows no other. Where they differ, the value is sent to the browser; sent without
    need, it would undo what a person has done there meanwhile.
    """
    if st.session_state.get(key, value) == value:
        return {"value": value}
    st.session_state[key] = value
    return {}


def presenting() -> bool:
    """Return whether a lesson is shown to a room: type and charts are large."""
    return bool(st.session_state.get(PRESENTING))


def own_class() -> int | None:
    """Return the class that the current image is read as: where it was not read yet, its label, or None without one."""
    image, label = st.session_state.get("own-class", (None, None))
    if image == (current().bundle, current().image):
        return int(label)
    return true_label(current().image, current_bundle())


def remember_own_class(label: int) -> bool:
    """Keep the class that the current image is read as; return whether `own_class` said otherwise before."""
    known = own_class() == label
    st.session_state["own-class"] = ((current().bundle, current().image), label)
    return not known


def link() -> str:
    """Return the whole link to this page as it stands: the case, and how the page shows it."""
    path = urlsplit(st.context.url or "").path or "/"
    return _address(path, {**st.query_params.to_dict(), **current().to_query()})


def link_to(query: Mapping[str, str]) -> str:
    """Return the whole link to the app with only these query parameters."""
    path = urlsplit(st.context.url or "").path
    return _address(path[: path.rfind("/") + 1] or "/", query)


def _address(path: str, query: Mapping[str, str]) -> str:
    address = urlsplit(st.context.url or "")
    page = f"{address.scheme}://{address.netloc}{path}" if address.netloc else ""
    return f"{page}?{urlencode(query)}"
