"""Drawing an image, or painting on the one that is there, as stickers on a road sign."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from telltale.base.errors import TelltaleError
from telltale.data.drawings import drawn_image, empty_ground
from telltale_app import state
from telltale_app.link_images import carry, image_words, read_image
from telltale_app.panels import drawing_canvas

if TYPE_CHECKING:
    from telltale.base.images import FloatImages
    from telltale.bundle import Bundle

EMPTY, THIS_IMAGE = "Empty", "This image"
DRAWN = "drawn"
PURPOSE = (
    "A sticker on a stop sign is the attack that people know from the streets: put one on this image, or draw an image "
    "of your own. What you do not paint stays as it is, pixel by pixel."
)


@dataclass(frozen=True)
class Drawn:
    """What was drawn last in this session.

    Attributes
    ----------
    bundle : str
        The model for which it was drawn.
    reference : str
        The case's image that came of it.
    ground : str
        The image that was painted on, as a case names it; empty for none.
    """

    bundle: str
    reference: str
    ground: str


def drawing_panel(bundle: Bundle) -> None:
    """Draw the canvas, on nothing or on the case's image; *Use this drawing* changes the case."""
    st.caption(PURPOSE)
    present = _read(state.current().image, bundle)
    empty = _choose_ground(bundle) == EMPTY
    drawn = _drawn_now()
    if empty or present is None:
        begun = drawn is not None and drawn.ground == ""
        ground, reference = empty_ground(bundle.image_shape), ""
        shown = present if begun and present is not None else ground
        said = "An empty ground to draw on"
    else:
        reference, ground = _painted_on(bundle, drawn, present)
        shown = present
        said = f"{image_words(reference)}, to paint on"
    key = f"drawing-{bundle.name}"
    drawing_canvas.show(ground, shown, said, key, lambda: take(bundle, reference, drawing_canvas.sent(key)))


def take(bundle: Bundle, ground: str, sent: object) -> None:
    """Make what a browser sends as a drawing the case's image; for the canvas's callback.

    Parameters
    ----------
    bundle : Bundle
        The model that it was drawn for.
    ground : str
        The image that was painted on, as a case names it; empty for none.
    sent : object
        Never trusted.
    """
    if sent is None or state.current().bundle != bundle.name:
        return  # the canvas is another model's, whose page has gone
    try:
        reference = carry(drawn_image(sent, bundle.image_shape))
    except TelltaleError as error:
        st.session_state["upload-problem"] = str(error)
        return
    st.session_state[DRAWN] = Drawn(bundle.name, reference, ground)
    state.pick_image(reference)


def _choose_ground(bundle: Bundle) -> str:
    """Offer what to draw on: a grey model's drawings begin with nothing, a colour one's with the image."""
    return st.segmented_control(
        "Draw on",
        [EMPTY, THIS_IMAGE],
        default=EMPTY if bundle.image_shape[0] == 1 else THIS_IMAGE,
        key=f"draw-on-{bundle.name}",
        required=True,
        persist_state="session",
    )


def _drawn_now() -> Drawn | None:
    """Return the drawing that is the case's image; None where that is another one."""
    drawn: Drawn | None = st.session_state.get(DRAWN)
    case = state.current()
    return drawn if drawn is not None and (drawn.bundle, drawn.reference) == (case.bundle, case.image) else None


def _painted_on(bundle: Bundle, drawn: Drawn | None, present: FloatImages) -> tuple[str, FloatImages]:
    """Return what is painted on: what the drawing that is shown was painted on, as far as that is here, or itself."""
    ground = None if drawn is None or not drawn.ground else _read(drawn.ground, bundle)
    if drawn is None or ground is None:
        return state.current().image, present
    return drawn.ground, ground


def _read(reference: str, bundle: Bundle) -> FloatImages | None:
    """Return an image; None where it cannot be read, as when it is kept no longer."""
    try:
        return read_image(reference, bundle)
    except TelltaleError:
        return None
