"""Cutting what the model sees out of a photograph: what its own preprocessing keeps, or another square."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from telltale.base.errors import TelltaleError
from telltale.bundle.pictures import cut_strangers_picture, look_at_strangers_picture, own_part
from telltale.data import uploads
from telltale.data.photographs import Photograph, photograph_file
from telltale.data.uploads import CropBox, Square
from telltale_app import pictures, state
from telltale_app.link_images import carry, is_gone, read_image
from telltale_app.panels import crop_canvas
from telltale_app.panels.crop_canvas import Marked

if TYPE_CHECKING:
    from telltale.base.images import FloatImages
    from telltale.bundle import Bundle
    from telltale.models.guarded import Glance

INVERT = "invert-ink"
REFUSED = "refused-picture"  # the last one; what was too much to decode is not tried again by every run of the page
PREVIEW_SIDE, SEEN_SIDE = 480, 160
SIDES = {"side": "Side of the square", "left": "From the left", "top": "From the top"}


@dataclass(frozen=True)
class Photo:
    """A photograph to cut from, as its file: it is decoded in a limited process, and a session never holds its pixels.

    Attributes
    ----------
    key : str
        The same for the same picture.
    name : str
        Of a photograph that comes along; empty for a person's own.
    title : str
    read : callable
        Returns the file's bytes, or raises `InputError`.
    square : Square or None
        The part that is taken first; where None what the model's own preprocessing keeps, or else the largest centred
        square.
    """

    key: str
    name: str
    title: str
    read: Callable[[], bytes]
    square: Square | None = None


@dataclass(frozen=True)
class Crop:
    """What was cut last in this session.

    Attributes
    ----------
    photo, bundle : str
        Key of the photograph, and the model for which it was cut.
    square : Square or None
        None for what the model's own preprocessing keeps.
    reference : str
        The case's image that came of it.
    """

    photo: str
    bundle: str
    square: Square | None
    reference: str

    def box(self, bundle: Bundle, size: tuple[int, int]) -> CropBox:
        """Return the part that was taken of a picture of this width and height, in its pixels."""
        if self.square is not None:
            return self.square.box
        return own_part(bundle, size) or (0, 0, *size)


def of_photograph(photograph: Photograph) -> Photo:
    """Return one of the photographs that come along."""
    return Photo(
        photograph.name, photograph.name, photograph.title, lambda: photograph_file(photograph), photograph.square
    )


def of_file(data: bytes) -> Photo:
    """Return the photograph in an untrusted file."""
    return Photo(hashlib.sha256(data).hexdigest(), "", "Your picture", lambda: data)


def take(photo: Photo, bundle: Bundle, square: Square | None = None) -> None:
    """Make a square of the photograph, or what is taken of it first, the case's image; for widget callbacks.

    Where it is the very picture of a link whose pixels had gone, the case goes on as the link says, attack included.
    """
    missing = is_gone(state.current().image, bundle)
    try:
        crop = _cut(photo, bundle, square)
    except TelltaleError as error:
        st.session_state["upload-problem"] = str(error)
        st.session_state[REFUSED] = photo.key
        return
    st.session_state.pop(REFUSED, None)
    st.session_state["crop"] = crop
    if not (missing and crop.reference == state.current().image):
        state.pick_image(crop.reference)


def crop_panel(photo: Photo, bundle: Bundle) -> None:
    """Show the photograph with its square, what the model sees of it, and controls to move the square."""
    if st.session_state.get(REFUSED) == photo.key:
        return  # said where the file was taken
    try:
        glance = _glance(photo, bundle)
        crop = _crop_of(photo, bundle)
        image = read_image(crop.reference, bundle)
    except TelltaleError:
        return  # said where the file was taken
    size = glance.size
    if size == bundle.image_shape[:0:-1]:
        st.caption(f"It has the model's {size[0]} × {size[1]} pixels already and is taken exactly as it is.")
        return
    box = crop.box(bundle, size)
    whole, part = st.columns([2, 1], gap="small")
    with whole:
        left, top, right, bottom = map(round, box)
        said = (
            f"{photo.title}, {size[0]} × {size[1]} pixels, with {right - left} × {bottom - top} pixels marked, "
            f"{left} from the left and {top} from the top"
        )
        square = crop.square or Square.nearest(box, size)
        key = f"crop-square-{photo.key[:12]}"
        crop_canvas.show(
            glance, Marked(box, square), photo.key, said, key, lambda: take_dragged(photo, bundle, size, key)
        )
    with part:
        pictures.show(
            image, alt=f"What is marked, at the model's {image.shape[2]} × {image.shape[1]} pixels", side=SEEN_SIDE
        )
        st.caption(_seen_words(bundle, crop))
    _controls(photo, bundle, size, crop)
    if bundle.image_shape[0] == 1 and not st.session_state.get(INVERT) and uploads.mostly_light(image):
        st.caption(":material/invert_colors: This picture is mostly light. If it shows dark ink, switch that on.")
    if state.current().image != crop.reference:
        st.button(
            "Use this square",
            icon=":material/crop:",
            key="use-square",
            on_click=take,
            args=(photo, bundle, crop.square),
            help="The case holds another image now.",
        )


def _seen_words(bundle: Bundle, crop: Crop) -> str:
    height, width = bundle.image_shape[1:]
    grey = ", in grey (luma): it knows no colours" if bundle.image_shape[0] == 1 else ""
    own = " Resized and cropped as the images that it was built with." if crop.square is None else ""
    return f"What the model sees: {width} × {height} pixels{grey}.{own}"


def _controls(photo: Photo, bundle: Bundle, size: tuple[int, int], crop: Crop) -> None:
    square = crop.square or Square.nearest(crop.box(bundle, size), size)
    ranges = {
        "side": (crop_canvas.smallest(size), min(size), square.side),
        "left": (0, size[0] - square.side, square.left),
        "top": (0, size[1] - square.side, square.top),
    }
    with st.grid(3, min_column_width=140, gap="small"):
        for name, (low, high, value) in ranges.items():
            key = f"crop-{name}-{photo.key[:12]}"
            st.slider(
                SIDES[name],
                low,
                max(high, low + 1),
                **state.widget_value(key, value),
                format="%d px",
                key=key,
                disabled=high <= low,
                on_change=_move,
                args=(photo, bundle, name, key),
            )
    if crop.square is not None and photo.square is None and own_part(bundle, size) is not None:
        st.button(
            "As the model cuts pictures",
            icon=":material/center_focus_strong:",
            key="own-part",
            on_click=take,
            args=(photo, bundle),
            help="Resize and crop as the images that the model was built with.",
        )
    if bundle.image_shape[0] == 1:
        st.toggle(
            "Dark ink on light paper",
            key=INVERT,
            on_change=_exchange_ink,
            args=(photo, bundle),
            help="Exchanges black and white: this model learned light strokes on a dark ground.",
            persist_state="session",
        )


def _gone_on(photo: Photo) -> bool:
    """Return whether another picture was taken since this one's controls were drawn.

    The browser goes on sending what such controls held until it has drawn the page anew, and Streamlit, which has
    forgotten them, takes that for a change.
    """
    crop: Crop | None = st.session_state.get("crop")
    return crop is not None and crop.photo != photo.key


def _exchange_ink(photo: Photo, bundle: Bundle) -> None:
    if not _gone_on(photo):
        take(photo, bundle, _crop_of(photo, bundle).square)


def take_dragged(photo: Photo, bundle: Bundle, size: tuple[int, int], key: str) -> None:
    """Take the square that was dragged on a photograph of this width and height; for the callback of its canvas."""
    square = crop_canvas.moved(key, size)
    if square is not None and not _gone_on(photo):
        _take_moved(photo, bundle, square)


def _take_moved(photo: Photo, bundle: Bundle, square: Square) -> None:
    if state.current().attack is not None:
        st.toast("The attack was on the square before. Attack this one again.", icon=":material/crop:")
    take(photo, bundle, square)


def _move(photo: Photo, bundle: Bundle, name: str, key: str) -> None:
    """Take the square that a slider asks for; a new side keeps the centre."""
    if _gone_on(photo):
        return
    value, crop = int(st.session_state[key]), _crop_of(photo, bundle)
    size = _glance(photo, bundle).size
    square = crop.square or Square.nearest(crop.box(bundle, size), size)
    if name == "side":
        square = square.resized(value)
    else:
        square = Square(value if name == "left" else square.left, value if name == "top" else square.top, square.side)
    _take_moved(photo, bundle, square)


def _crop_of(photo: Photo, bundle: Bundle) -> Crop:
    """Return the session's crop of this photograph, or the first one of it."""
    crop: Crop | None = st.session_state.get("crop")
    if crop is None or (crop.photo, crop.bundle) != (photo.key, bundle.name) or is_gone(crop.reference, bundle):
        crop = _cut(photo, bundle, None)
        st.session_state["crop"] = crop
    return crop


def _cut(photo: Photo, bundle: Bundle, square: Square | None) -> Crop:
    if square is None:
        _, chosen, image = _first_look(photo.key, bundle.id, _inverted(bundle), photo, bundle)
    else:
        chosen, image = cut_strangers_picture(bundle, photo.read(), square, _inverted(bundle))
    return Crop(photo.key, bundle.name, chosen, carry(image, photo.name))


def _inverted(bundle: Bundle) -> bool:
    return bundle.image_shape[0] == 1 and bool(st.session_state.get(INVERT))


def _glance(photo: Photo, bundle: Bundle) -> Glance:
    return _first_look(photo.key, bundle.id, _inverted(bundle), photo, bundle)[0]


@st.cache_data(max_entries=32, show_spinner=False)
def _first_look(
    key: str,  # noqa: ARG001  # the first two say what the last two are
    bundle_id: str,  # noqa: ARG001
    invert: bool,
    _photo: Photo,
    _bundle: Bundle,
) -> tuple[Glance, Square | None, FloatImages]:
    """Return a small copy of a photograph and the part that is taken first."""
    return look_at_strangers_picture(_bundle, _photo.read(), PREVIEW_SIDE, _photo.square, invert)
