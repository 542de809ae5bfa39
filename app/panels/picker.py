"""Choosing an image: samples by class, an upload, or the camera."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import streamlit as st

from app import pictures, state
from app.case import carry
from core import uploads
from core.errors import InputError
from core.views import natural_test_ids

if TYPE_CHECKING:
    from core.bundle import Bundle

PER_PAGE = 12
INVERT = "invert-ink"
FILE_TYPES = ("png", "jpg", "jpeg", "webp", "bmp", "gif", "tif", "tiff")
SOURCES = {"Samples": ":material/grid_view:", "Upload": ":material/upload:", "Camera": ":material/photo_camera:"}


def image_picker(bundle: Bundle) -> None:
    """Draw the ways to choose an image; choosing one changes the case."""
    source = st.segmented_control(
        "Where from",
        list(SOURCES),
        default="Samples" if bundle.image_set is not None else "Upload",
        format_func=lambda name: f"{SOURCES[name]} {name}",
        key="image-source",
        required=True,
        label_visibility="collapsed",
        persist_state="session",
    )
    if source == "Samples":
        _samples(bundle)
    elif source == "Upload":
        _own("upload", bundle, st.file_uploader, "Image file", type=list(FILE_TYPES))
    else:
        _own("camera", bundle, st.camera_input, "Photograph")


def _samples(bundle: Bundle) -> None:
    if bundle.image_set is None:
        st.info(f"{bundle.data_problem} Upload an image instead.", icon=":material/info:")
        return
    everything = -1
    label = st.pills(
        "Class",
        [everything, *range(len(bundle.class_names))],
        default=everything,
        format_func=lambda c: "any" if c == everything else bundle.class_names[c],
        key="sample-class",
        required=True,
        persist_state="session",
    )
    ids = natural_test_ids(bundle.scores, None if label == everything else label)
    pages = max(1, -(-len(ids) // PER_PAGE))
    chosen = state.current().image
    gallery = st.container()
    page = st.pagination(pages, key=f"sample-page-{label}") if pages > 1 else 1
    with gallery, st.grid(6, min_column_width=72, gap="xsmall"):
        for image_id in ids[(page - 1) * PER_PAGE : page * PER_PAGE]:
            _sample(bundle, int(image_id), chosen)
    st.caption("Test images that the model reads correctly; it has not learned from them.")


def _sample(bundle: Bundle, image_id: int, chosen: str) -> None:
    assert bundle.image_set is not None
    reference = f"test-{image_id}"
    name = bundle.class_names[int(bundle.image_set.labels[image_id])]
    with st.container(gap="xxsmall"):
        pictures.show(bundle.image_set.images([image_id])[0], alt=f"Test image {image_id}, class {name}")
        st.button(
            f"no. {image_id}",
            key=f"pick-{image_id}",
            width="stretch",
            type="primary" if reference == chosen else "secondary",
            help=f"Choose test image {image_id}, class {name}",
            on_click=state.pick_image,
            args=(reference,),
        )


def _own(key: str, bundle: Bundle, widget: Callable[..., Any], label: str, **options: object) -> None:
    height, width = bundle.image_shape[1:]
    if bundle.image_shape[0] == 1:
        st.toggle(
            "Dark ink on light paper",
            key=INVERT,
            on_change=_take_own,
            args=(key, bundle),
            help="Exchanges black and white: this model learned light strokes on a dark ground.",
            persist_state="session",
        )
    widget(label, key=key, on_change=_take_own, args=(key, bundle), **options)
    st.caption(
        f"The largest centred part is fitted to the {width} × {height} pixels that this model reads. "
        "Nothing is stored; the link carries the fitted image."
    )
    if problem := st.session_state.pop("upload-problem", None):
        st.error(f"{problem} The image chosen before stays.", icon=":material/error:")


def _take_own(key: str, bundle: Bundle) -> None:
    file = st.session_state.get(key)
    if file is None:
        return
    try:
        picture = uploads.decode_image(file.getvalue())
        invert = bundle.image_shape[0] == 1 and bool(st.session_state.get(INVERT))
        state.pick_image(carry(uploads.to_model_input(picture, bundle.image_shape, invert=invert)))
    except InputError as error:
        st.session_state["upload-problem"] = str(error)
