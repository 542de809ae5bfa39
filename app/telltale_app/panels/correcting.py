"""Removing and relabelling training images, and what the refitted head answers then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
import streamlit as st

from telltale.base.errors import InputError
from telltale.model_errors.changed_answers import ChangedAnswers
from telltale.model_errors.corrections import as_arrays, summary
from telltale.model_errors.refitting import Answers, Refit
from telltale_app import bundle_jobs, corrections, emphasis, state, words
from telltale_app.link_images import image_words, read_image, true_label
from telltale_app.panels import correction_files, selection
from telltale_app.panels.picking import change_words, undo_button
from telltale_app.panels.selection import Thumbnail

if TYPE_CHECKING:
    from telltale.bundle import Bundle

PER_PAGE = 12
SHOWN_CLASSES = 3  # of each answer
COLUMNS = {
    "network": "network",
    "before": "its head before",
    "first_order": "foretold by influence",
    "after": "after refitting",
}


@dataclass(frozen=True)
class Asked:
    """The image whose answer is looked at.

    Attributes
    ----------
    image : array of float32, shape (C, H, W)
    name : str
        As it begins a sentence.
    label : int or None
        Its true class, where it is known.
    """

    image: npt.NDArray[np.float32]
    name: str
    label: int | None


def current_asked(bundle: Bundle) -> Asked | None:
    """Return the session's case, unattacked; None where it has no image."""
    reference = state.current().image
    try:
        return Asked(read_image(reference, bundle), image_words(reference), true_label(reference, bundle))
    except InputError:
        return None


def show(bundle: Bundle, asked: Asked | None) -> None:
    """Show what is picked and corrected, what the refitted head answers, and what can be taken along.

    Parameters
    ----------
    bundle : Bundle
    asked : Asked or None
        None where there is no image to ask about.
    """
    st.header("Correct training images, and ask again", anchor="correct")
    if bundle.training_problem is not None:
        st.caption(bundle.training_problem)
        return
    picks, made = corrections.picked(bundle), corrections.made(bundle)
    if not picks and not made:
        st.markdown(
            "Is a training image mislabelled, or harmful? **Pick** it above, then remove or relabel it here: the "
            "softmax head is refitted at once, and you see its new answer beside what influence foretold. Nothing is "
            "changed on disk, and everything can be undone."
        )
    if picks:
        _show_picked(bundle, [pick.image_id for pick in picks])
    if made:
        result = _refitted(bundle, asked)
        _show_made(bundle, result)
        if result is not None:
            if asked is not None and result.answers is not None:
                _show_answers(bundle, asked, result.answers)
            _show_test(bundle)
            _how(result)
        correction_files.show_export(bundle, result)
    correction_files.show_import(bundle)


def _show_picked(bundle: Bundle, ids: list[int]) -> None:
    with st.container(border=True):
        st.markdown(f"**{_images(len(ids))}** picked. What should become of {'it' if len(ids) == 1 else 'them'}?")
        _tiles(bundle, ids, "picked", lambda image_id: _class_of(bundle, image_id), _let_go(bundle))
        with st.container(horizontal=True, vertical_alignment="bottom"):
            st.button(
                "Remove",
                icon=":material/delete:",
                type=emphasis.filled(),
                key="correct-remove",
                on_click=corrections.remove_picked,
                args=(bundle,),
                help="Train without them.",
            )
            label = st.selectbox(
                "Relabel as",
                range(len(bundle.class_names)),
                format_func=lambda c: bundle.class_names[c],
                key=f"correct-label-{bundle.name}",
                width=200,
            )
            st.button(
                "Relabel",
                icon=":material/edit:",
                key="correct-relabel",
                on_click=corrections.relabel_picked,
                args=(bundle, int(label or 0)),
                help="Give them this class. Images that have it already stay picked.",
            )
            st.button(
                "Pick none", icon=":material/close:", key="correct-none", on_click=corrections.pick_none, args=(bundle,)
            )


def _show_made(bundle: Bundle, result: Refit | None) -> None:
    made = {correction.image_id: correction for correction in corrections.made(bundle)}
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f":material/edit: Training images corrected: **{summary(tuple(made.values()))}**.")
        st.button(
            "Undo all", icon=":material/undo:", key="correct-undo-all", on_click=corrections.undo_all, args=(bundle,)
        )
    pushed = {}
    if result is not None and result.answers is not None:
        pushed = dict(zip(result.ids.tolist(), result.answers.influences.tolist(), strict=True))

    def caption(image_id: int) -> str:
        text = f"**{bundle.class_names[made[image_id].label]}**, {change_words(bundle, made[image_id])}"
        return text + (f"  \nloss {pushed[image_id]:+.2g}" if image_id in pushed else "")

    _tiles(bundle, list(made), "made", caption, lambda i: undo_button(bundle, i, f"made-{i}"))


def _refitted(bundle: Bundle, asked: Asked | None) -> Refit | None:
    ids, labels = as_arrays(corrections.made(bundle))
    image = None if asked is None else asked.image
    result = bundle_jobs.result_of("refit", bundle, "Refitting the head", ids=ids, new_labels=labels, image=image)
    assert result is None or isinstance(result, Refit)
    return result


def _show_answers(bundle: Bundle, asked: Asked, answers: Answers) -> None:
    st.markdown(answer_words(bundle, asked, answers))
    columns = {name: np.asarray(getattr(answers, name)) for name in COLUMNS}
    best = {int(c) for values in columns.values() for c in np.argsort(-values, kind="stable")[:SHOWN_CLASSES]}
    order = sorted(best, key=lambda c: -answers.after[c])
    frame = pd.DataFrame(
        {"class": [bundle.class_names[c] for c in order]}
        | {title: columns[name][order].round(4) for name, title in COLUMNS.items()}
    )
    share = {
        COLUMNS["network"]: "The network as it is.",
        COLUMNS["before"]: "Its softmax head at its optimum on the training images as they were given.",
        COLUMNS["first_order"]: "Influences of the single corrections, added up.",
        COLUMNS["after"]: "The head really refitted on the corrected training images.",
    }
    st.dataframe(
        frame,
        hide_index=True,
        key="correct-answers",
        alt=f"Class probabilities of {asked.name} before and after the corrections, foretold and real",
        column_config={
            title: st.column_config.ProgressColumn(format="percent", min_value=0.0, max_value=1.0, help=explained)
            for title, explained in share.items()
        },
    )


def answer_words(bundle: Bundle, asked: Asked, answers: Answers) -> str:
    """Return in words how the answer changes, and whether influence had foretold it."""
    before, after, foretold = (int(values.argmax()) for values in (answers.before, answers.after, answers.first_order))
    name = bundle.class_names

    def said(label: int, values: npt.NDArray[np.float64]) -> str:
        return f"**{name[label]}** ({words.percent(float(values[label]))})"

    now = said(after, answers.after)
    if before == after:
        text = f"{asked.name} is still read as {now}, before with {words.percent(float(answers.before[before]))}"
    else:
        text = f"{asked.name} was read as {said(before, answers.before)} and is now read as {now}"
    if asked.label is not None:
        text += ", which is right" if after == asked.label else f"; the label says {name[asked.label]}"
    verdict = "Influence had foretold" if foretold == after else "Influence had foretold otherwise:"
    text += f". {verdict} {said(foretold, answers.first_order)}."
    read = int(answers.network.argmax())
    if read != before:
        text += f" The network itself reads {name[read]}: its refitted head differs from it on this image."
    return text


def _show_test(bundle: Bundle) -> None:
    if bundle.image_set is None:
        st.caption("How many test images change their answer can be counted only where the images are at hand.")
        return
    ids, labels = as_arrays(corrections.made(bundle))
    changed = bundle_jobs.result_of(
        "changed_answers", bundle, "Asking about the test images", ids=ids, new_labels=labels
    )
    if changed is None:
        return
    assert isinstance(changed, ChangedAnswers)
    of = f"Of {changed.images:,} natural test images" + (
        "." if changed.images == changed.of else f", evenly chosen from {changed.of:,}."
    )
    st.markdown("**All test images, asked again:**")
    selection.metrics(
        [
            ("Right before", f"{changed.right_before:,}", of),
            ("Right after", f"{changed.right_after:,}", of),
            ("Wrong → right", f"{len(changed.to_right):,}", of),
            ("Right → wrong", f"{len(changed.to_wrong):,}", of),
        ]
    )
    moved = [*((i, "now right") for i in changed.to_right), *((i, "now wrong") for i in changed.to_wrong)]
    if moved:
        with st.expander("These test images", icon=":material/compare_arrows:"):
            selection.thumbnails(bundle, len(moved), lambda row: _moved(bundle, *moved[row]), "correct-moved")


def _moved(bundle: Bundle, image_id: int, said: str) -> Thumbnail:
    name = _class_of(bundle, int(image_id))
    text = f"Test image {image_id}, class {name}, {said}"
    return Thumbnail(int(image_id), f"test-{image_id}", text, f"**{name}**  \n{said}")


def _how(result: Refit) -> None:
    st.caption(
        f"Refitted in {words.seconds(result.seconds)}, {result.method}. Features are frozen: only the last layer "
        "learns anew, while a network trained again would move its features as well. The loss under a corrected image "
        "is by how much its correction alone raises the loss of the class that the network reads, to first order."
    )


def _tiles(
    bundle: Bundle, ids: list[int], key: str, caption: Callable[[int], str], button: Callable[[int], None]
) -> None:
    pages = max(1, -(-len(ids) // PER_PAGE))
    grid = st.container()
    page = st.pagination(pages, key=f"correct-{key}-page") if pages > 1 else 1
    first = (min(page, pages) - 1) * PER_PAGE
    with grid, st.grid("auto", min_column_width=112, gap="xsmall"):
        for image_id in ids[first : first + PER_PAGE]:
            with st.container(gap="xxsmall"):
                said = f"Training image {image_id}, class {_class_of(bundle, image_id)}, {key}"
                selection.picture(bundle, image_id, said, f"{caption(image_id)}  \nno. {image_id}")
                button(image_id)


def _let_go(bundle: Bundle) -> Callable[[int], None]:
    picks = {pick.image_id: pick for pick in corrections.picked(bundle)}

    def button(image_id: int) -> None:
        st.button(
            "Let go",
            icon=":material/close:",
            key=f"picked-{image_id}",
            type="tertiary",
            on_click=corrections.toggle,
            args=(bundle, picks[image_id]),
            help=f"Training image {image_id}: leave it as it is.",
        )

    return button


def _class_of(bundle: Bundle, image_id: int) -> str:
    """Return the given class of an image; of a training image also where the images are not on this machine."""
    if bundle.image_set is not None:
        return bundle.class_names[int(bundle.image_set.labels[image_id])]
    place = int(np.searchsorted(bundle.splits.train, image_id))
    return bundle.class_names[int(bundle.training_labels[place])]


def _images(count: int) -> str:
    return "1 training image" if count == 1 else f"{count:,} training images"
