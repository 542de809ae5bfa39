"""Choosing an image: samples that teach, test images, photographs, an upload, the camera, a drawing, or a link."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import numpy as np
import streamlit as st

from telltale.base.images import FloatImages
from telltale.data.photographs import Photograph, photograph_for, photographs
from telltale.scores.table import natural_test_ids
from telltale_app import catalogue, emphasis, pictures, state, words
from telltale_app.case import KEYS, Case, from_query
from telltale_app.link_images import fits_into_links, is_gone, photograph_of
from telltale_app.panels.cropping import Photo, crop_panel, of_file, of_photograph, take
from telltale_app.panels.drawing import drawing_panel
from telltale_app.panels.missing import missing_images_note
from telltale_app.panels.start_here import start_here

if TYPE_CHECKING:
    from telltale.bundle import Bundle

PER_PAGE = 12
FILE_TYPES = ("png", "jpg", "jpeg", "webp", "bmp", "gif", "tif", "tiff")
ICONS = {
    "Start here": ":material/explore:",
    "Test images": ":material/grid_view:",
    "Photographs": ":material/photo_library:",
    state.UPLOAD: ":material/upload:",
    "Camera": ":material/photo_camera:",
    "Draw": ":material/draw:",
    "Link": ":material/link:",
}
UPLOAD_LABEL = "Image file: choose it, drop it, or paste one with Ctrl+V"
THUMBNAIL_SIDE = 128
FROM_THE_SET = ("Start here", "Test images")
LONGEST_LINK = 40_000
MOST_NAMED = 20  # classes; the names of more would be a paragraph


def image_picker(bundle: Bundle, title: str) -> None:
    """Draw the ways to choose an image under a title; choosing one changes the case."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(title, anchor=False, width="content")
        source = st.segmented_control(
            "Where from",
            list(ICONS),
            default=_first_source(bundle),
            format_func=lambda name: f"{ICONS[name]} {name}",
            key=state.source_key(bundle.name),
            required=True,
            label_visibility="collapsed",
            persist_state="session",
            width="content",
        )
    if bundle.data_problem is not None and source not in FROM_THE_SET:
        st.caption(f":material/image_not_supported: {bundle.data_problem}")
    if source == "Start here":
        start_here(bundle)
    elif source == "Test images":
        _test_images(bundle)
    elif source == "Photographs":
        _photographs(bundle)
    elif source == state.UPLOAD:
        _own(
            "upload",
            bundle,
            st.file_uploader,
            UPLOAD_LABEL,
            type=list(FILE_TYPES),
        )
    elif source == "Camera":
        _own("camera", bundle, st.camera_input, "Photograph")
    elif source == "Draw":
        drawing_panel(bundle)
        st.caption(f"It is read as {_class_words(bundle)}: the model knows nothing else. {_keeping_words(bundle)}")
    else:
        _link()
    if problem := st.session_state.pop("upload-problem", None):
        st.error(f"{problem} The image chosen before stays.", icon=":material/error:")


def _first_source(bundle: Bundle) -> str:
    if is_gone(state.current().image, bundle):
        return state.UPLOAD
    return "Start here" if bundle.image_set is not None else "Photographs"


def _test_images(bundle: Bundle) -> None:
    if bundle.image_set is None:
        missing_images_note(bundle, "Until then, choose a photograph or upload an image of your own.")
        return
    everything = -1
    label = _class_choice(bundle, everything)
    ids = natural_test_ids(bundle.scores, None if label == everything else label)
    pages = max(1, -(-len(ids) // PER_PAGE))
    chosen = state.current().image
    gallery = st.container()
    page = st.pagination(pages, key=f"sample-page-{bundle.name}-{label}") if pages > 1 else 1
    with gallery, st.grid(6, min_column_width=84, gap="xsmall"):
        for image_id in ids[(page - 1) * PER_PAGE : page * PER_PAGE]:
            _test_image(bundle, int(image_id), chosen)
    st.caption(f"Test images {catalogue.unseen_words(bundle)}, and that the model reads correctly.")


def _class_choice(bundle: Bundle, everything: int) -> int:
    """Offer the classes of test images: few as buttons, many in a list to type into, without those that have none."""
    shown: dict[str, Any] = {
        "format_func": lambda c: "any" if c == everything else bundle.class_names[c],
        "key": f"sample-class-{bundle.name}",
        "persist_state": "session",
    }
    if len(bundle.class_names) <= MOST_NAMED:
        classes = [everything, *range(len(bundle.class_names))]
        return int(st.pills("Class", classes, default=everything, required=True, **shown))
    assert bundle.image_set is not None
    present = np.unique(bundle.image_set.labels[natural_test_ids(bundle.scores)]).tolist()
    return int(st.selectbox("Class", [everything, *present], help="Type a part of its name.", **shown))


def _test_image(bundle: Bundle, image_id: int, chosen: str) -> None:
    assert bundle.image_set is not None
    reference = f"test-{image_id}"
    name = bundle.class_names[int(bundle.image_set.labels[image_id])]
    with st.container(gap="xxsmall"):
        pictures.show(bundle.image_set.images([image_id])[0], alt=f"Test image {image_id}, class {name}")
        st.button(
            f"no. {image_id}",
            key=f"pick-{image_id}",
            width="stretch",
            type=emphasis.filled(reference == chosen),
            icon=":material/check:" if reference == chosen else None,
            help=f"Choose test image {image_id}, class {name}",
            on_click=state.pick_image,
            args=(reference,),
        )


def _photographs(bundle: Bundle) -> None:
    offered = photographs()
    if not offered:
        st.info("There are no photographs on this machine. Upload one instead.", icon=":material/info:")
        return
    chosen = photograph_of(state.current().image)
    with st.grid(len(offered), min_column_width=96, gap="xsmall"):
        for photograph in offered:
            _photograph(photograph, bundle, photograph == chosen)
    if chosen is not None:
        crop_panel(of_photograph(chosen), bundle)
    st.caption(
        f"The model knows only {len(bundle.class_names):,} classes and reads every picture as one of them. The "
        "photographs come with scikit-image: "
        + words.listed([f"{photograph.title} ({photograph.credit})" for photograph in offered])
        + "."
    )


def _photograph(photograph: Photograph, bundle: Bundle, chosen: bool) -> None:
    with st.container(gap="xxsmall"):
        pictures.show(_thumbnail(photograph.name, photograph), alt=photograph.title)
        st.button(
            photograph.short,
            key=f"photograph-{photograph.name}",
            width="stretch",
            type=emphasis.filled(chosen),
            icon=":material/check:" if chosen else None,
            help=f"Choose this photograph: {photograph.title}",
            on_click=take,
            args=(of_photograph(photograph), bundle),
        )


@st.cache_data(max_entries=16, show_spinner=False)
def _thumbnail(name: str, _photograph: Photograph) -> FloatImages:  # noqa: ARG001  # the name is the key
    return photograph_for(_photograph, (3, THUMBNAIL_SIDE, THUMBNAIL_SIDE))


def _own(key: str, bundle: Bundle, widget: Callable[..., Any], label: str, **options: object) -> None:
    widget(label, key=key, on_change=_take_own, args=(key, bundle), **options)
    photo = _photo_at(key)
    if photo is not None:
        crop_panel(photo, bundle)
    height, width = bundle.image_shape[1:]
    st.caption(
        f"What is marked of it is reduced to the {width} × {height} pixels that this model reads, and read as "
        f"{_class_words(bundle)}: it knows nothing else. {_keeping_words(bundle)}"
    )


def _keeping_words(bundle: Bundle) -> str:
    """Say where the pixels of a person's own picture go."""
    if fits_into_links(bundle.image_shape):
        return "Nothing is stored; the link carries the small image."
    return (
        "That part is kept on this server for whoever has the link, which names it by its SHA-256, until pictures "
        "used later need its room; the file itself is not."
    )


def _class_words(bundle: Bundle) -> str:
    names = bundle.class_names
    return words.either(names) if len(names) <= MOST_NAMED else f"one of its {len(names):,} classes"


def _take_own(key: str, bundle: Bundle) -> None:
    photo = _photo_at(key)
    if photo is not None:
        take(photo, bundle)


def _link() -> None:
    st.text_input(
        "Link of a case",
        key="pasted-link",
        placeholder="https://…?bundle=…&image=…&attack=…",
        max_chars=LONGEST_LINK,
        on_change=_take_link,
        help="“Copy link” beside every page gives one. It opens the same image, attack and false-alarm rate.",
    )
    st.caption("Paste a whole link and press Enter.")


def _take_link() -> None:
    case = _case_in(str(st.session_state["pasted-link"]))
    if case is not None:
        found, warnings = case
        state.open_case(found)
        st.session_state.case_warnings = warnings
    elif st.session_state["pasted-link"].strip():
        st.session_state["upload-problem"] = "This is not the link of a case: it names neither a model nor an image."


def _case_in(link: str) -> tuple[Case, tuple[str, ...]] | None:
    """Return the case that a link opens, with what was wrong with it; None where it names neither model nor image."""
    try:
        given = dict(parse_qsl(urlsplit(link.strip()).query))
    except ValueError:  # such as an open bracket in the host
        return None
    query = {key: given[key] for key in KEYS if key in given}
    return from_query(query) if {"bundle", "image"} & query.keys() else None


def _photo_at(key: str) -> Photo | None:
    file = st.session_state.get(key)
    return None if file is None else of_file(file.getvalue())
