"""What a bundle is and what it lacks, in a few words: for the list of bundles on the command line and in the app."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from telltale.base.errors import DamagedBundleError, InputError
from telltale.bundle.absent_classes import absent_words
from telltale.bundle.bundle import BUNDLES_VARIABLE, Bundle, load_bundle, named_folders
from telltale.bundle.own_data import CUT, HELD_OUT_LEARNED, LEARNED_FROM_ALL
from telltale.bundle.under_way import under_way
from telltale.data.sources import KNOWN_SOURCES
from telltale.recipes import RECIPES
from telltale.scores.titles import detector_title


@dataclass(frozen=True)
class BundleSummary:
    """One bundle in a list; where it cannot be opened, `problem` says why and nothing else is known.

    Attributes
    ----------
    name : str
    title : str or None
        Name shown to people.
    accuracy : float or None
        Share of test images that the classifier reads correctly.
    classes, images : int or None
        How many classes there are, and how many images the data set holds.
    image_shape : tuple of int or None
        (C, H, W).
    references : int or None
        Training images that can be neighbours and influences.
    training_images : int or None
        Images that the classifier learned from.
    size_bytes : int or None
        Of all files together.
    lacks : tuple of str
        One sentence for each thing that a full bundle beside its own data would have.
    images_command : str or None
        Command that brings the images, where they are not at hand.
    problem : str or None
        Why it cannot be opened, in one sentence.
    """

    name: str
    title: str | None = None
    accuracy: float | None = None
    classes: int | None = None
    images: int | None = None
    image_shape: tuple[int, int, int] | None = None
    references: int | None = None
    training_images: int | None = None
    size_bytes: int | None = None
    lacks: tuple[str, ...] = ()
    images_command: str | None = None
    problem: str | None = None


def summarise(name: str) -> BundleSummary:
    """Describe a bundle, damaged ones included.

    Parameters
    ----------
    name : str
        As in `telltale.bundle.list_bundles`.
    """
    try:
        bundle = load_bundle(name)
        references, learned = len(bundle.splits.train), training_images(bundle)
    except InputError as error:
        return BundleSummary(name, problem=str(error))
    manifest = bundle.manifest
    return BundleSummary(
        name=name,
        title=manifest.title,
        accuracy=manifest.accuracies.get("test"),
        classes=len(bundle.class_names),
        images=manifest.data.n,
        image_shape=bundle.image_shape,
        references=references,
        training_images=learned,
        size_bytes=sum(entry.bytes for entry in manifest.files.values()),
        lacks=_lacks(bundle, references, learned),
        images_command=None if bundle.data_problem is None else images_command(bundle),
    )


def training_images(bundle: Bundle) -> int:
    """Return how many images the classifier learned from; a compact bundle keeps fewer as references."""
    return int(bundle.manifest.notes.get("training_images", len(bundle.splits.train)))


def images_command(bundle: Bundle) -> str | None:
    """Return the one command that brings a bundle's images, or None where it was not built from a recipe.

    It names the data set's public id where there is one; a folder of the same data does as well.
    """
    if bundle.name not in RECIPES:
        return None
    known = KNOWN_SOURCES.get(RECIPES[bundle.name].source)
    return f"telltale build {bundle.name} --data {known.hub_id if known else 'FOLDER_OR_HUB_ID'}"


def folder_problems() -> tuple[str, ...]:
    """Return one sentence for each folder of ``TELLTALE_BUNDLES`` that is not there."""
    return tuple(
        f"{BUNDLES_VARIABLE} names '{folder}', which is not a folder: no bundles were looked for there."
        for folder in named_folders()
        if not folder.is_dir()
    )


def _lacks(bundle: Bundle, references: int, learned: int) -> tuple[str, ...]:
    if bundle.alone:
        return (_alone(bundle),)
    sentences = [] if bundle.data_problem is None else [bundle.data_problem]
    if bundle.unfinished:
        sentences.append(_unfinished(bundle))
    if not bundle.trained_on and bundle.training_problem is not None:  # earlier builds had it without the question
        sentences.append(_not_trained_on(bundle))
    if bundle.notes.get(HELD_OUT_LEARNED):
        sentences.append(LEARNED_FROM_ALL)
    if not bundle.labelled:
        sentences.append("Its images have no labels: what it reads takes their place, and errors are not known.")
    with contextlib.suppress(DamagedBundleError):  # which verifying the bundle says
        if (absent := absent_words(bundle)) is not None:
            sentences.append(absent)
    sentences += [f"{detector_title(name)} is left out. {why}" for name, why in bundle.missing_detectors.items()]
    if isinstance(cut := bundle.manifest.notes.get(CUT), str):
        sentences.append(cut)
    if references < learned:
        sentences.append(f"It keeps {references:,} of {learned:,} training images as references.")
    return tuple(sentences)


def _alone(bundle: Bundle) -> str:
    """Say what there is with a model only, and what brings the rest."""
    return (
        "It knows no images: uploads are read, attacked and scored without p-values. A build on images like those that "
        f"it will judge ('telltale build {bundle.name} --data FOLDER') brings the rest."
    )


def _not_trained_on(bundle: Bundle) -> str:
    """Say why there is neither influence nor a list of mislabelled training images."""
    learned = "Whether it has learned from its references is not known"
    if bundle.trained_on is False:
        learned = "It has not learned from its references"
    return f"{learned}: there is no influence, and no list of training images that may be mislabelled."


def _unfinished(bundle: Bundle) -> str:
    """Say what is still to come, and how far its build is."""
    found = under_way(bundle.folder)
    to_come = "Attacks, detectors that learn from them and the fused verdict are still to come"
    if found is None or not found.alive:
        return f"{to_come}: its build was stopped, and goes on where it stood when it is begun again."
    return f"{to_come}: {100 * found.fraction:.0f} % built ({found.message[:1].lower()}{found.message[1:]})."
