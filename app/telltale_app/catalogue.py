"""What the registries and the bundles offer, read late so that a test can put others in their place."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

import telltale.attacks.registry as attack_registry
import telltale.bundle as bundles
import telltale.bundle.summary as summaries
import telltale.detectors.registry as detector_registry
import telltale.studies.tables.registry as table_registry
import telltale.studies.tables.results as table_results
from telltale.attacks.base import AnyAttack
from telltale.base.errors import InputError
from telltale.base.parameters import Parameter, ParameterValue
from telltale.bundle.own_data import HELD_OUT_LEARNED
from telltale.detectors.base import Detector
from telltale.detectors.fusion import Fusion
from telltale.engine.settings import FIRST_BUNDLE, Settings
from telltale.scores.titles import attack_title as attack_title
from telltale.scores.titles import detector_title as detector_title
from telltale.studies.tables.table import Cell, PaperTable

if TYPE_CHECKING:
    from telltale.bundle import Bundle
    from telltale.detectors.base import Detector

DEFAULT_ATTACK = "pgd"
FIRST_IN_OLD_LINKS = "digits"


def default_bundle() -> str:
    """Return the bundle that is shown first: the one that the workers load before they are ready."""
    return Settings.from_environment().bundle or FIRST_BUNDLE


def linked_bundle() -> str:
    """Return the bundle of a link that names none, or none that is here: the first, where the owner has chosen it.

    Otherwise it is the digits, which came first when such links were written.
    """
    return os.environ.get("TELLTALE_BUNDLE") or FIRST_IN_OLD_LINKS


def bundle(name: str) -> Bundle:
    """Return a bundle by name, never by path, because names come from links.

    Raises
    ------
    InputError
        If there is no such bundle or it is damaged.
    """
    if name not in bundle_names():
        raise InputError("There is no model of that name here.")
    return bundles.load_bundle(name)


def bundle_names() -> tuple[str, ...]:
    """Return the names of all bundles on this machine, the default one first."""
    return tuple(sorted(bundles.list_bundles(), key=lambda name: (name != default_bundle(), name)))


def summary(name: str) -> summaries.BundleSummary:
    """Return what a bundle is and what it lacks."""
    return summaries.summarise(name)


def folder_problems() -> tuple[str, ...]:
    """Return one sentence for each folder of bundles that is not there."""
    return summaries.folder_problems()


def attacks() -> Mapping[str, AnyAttack]:
    """Return every attack by its registry name."""
    return attack_registry.ATTACKS


def unseen_words(bundle: Bundle) -> str:
    """Return what held-out images are to the model: whether it has learned from them is known of its own training."""
    if not bundle.own:
        return "that it has not learned from"
    if bundle.notes.get(HELD_OUT_LEARNED):
        return "that are none of its references (though it has learned from them, too)"
    return "that are none of its references (what it has learned from is not known here)"


def reference_word(bundle: Bundle) -> str:
    """Return what images its references are: "training" where the model has learned from them, else "reference"."""
    return "training" if bundle.trained_on else "reference"


def with_references(bundle: Bundle) -> npt.NDArray[np.bool_]:
    """Return which classes have a reference image, shape (C,); a network may know many more than its images show."""
    return np.isin(np.arange(len(bundle.class_names)), bundle.training_labels)


def outside_words(bundle: Bundle, label: int) -> str:
    """Say that there is no reference image of a class; empty where there is one."""
    if bundle.alone or (bundle.training_labels == label).any():
        return ""
    return (
        f"**{bundle.class_names[label]}** is outside this model's images: none of its references has that class, so "
        "nothing here can be compared with it. Reference images of it would change that."
    )


def detector_settings(bundle: Bundle, name: str) -> Mapping[str, ParameterValue]:
    """Return the settings with which a model's detector judges; empty where it has none."""
    settings: Mapping[str, ParameterValue] = bundle.manifest.detectors.get(name, {}).get("parameters", {})
    return settings


def attack_parameters(name: str) -> tuple[Parameter, ...]:
    """Return what an attack declares; nothing for an unknown one."""
    specs = attacks()
    return specs[name].parameters if name in specs else ()


def detectors() -> Mapping[str, type[Detector] | type[Fusion]]:
    """Return every detector by its registry name, and the fusion of them all."""
    return {**detector_registry.DETECTORS, Fusion.name: Fusion}


def detector_summary(name: str) -> str:
    """Return one sentence on what a detector asks; empty for an unknown one."""
    specs = detectors()
    return specs[name].summary if name in specs else ""


def detector_page(name: str) -> tuple[str, str]:
    """Return the page that shows a detector's evidence and the words of a link to it; the ROC page's for others."""
    page, words = detector_registry.DETECTORS.get(name, Detector).page
    return f"app_pages/{page}.py", words


def detector_parameters(name: str) -> tuple[Parameter, ...]:
    """Return what a detector declares; nothing for an unknown one, and for the fusion, which has no settings."""
    spec = detector_registry.DETECTORS.get(name)
    return () if spec is None else spec.settings.parameters()


def paper_tables() -> Mapping[str, PaperTable]:
    """Return every table that can be computed again, by its name on the command line."""
    return table_registry.TABLES


def stored_tables() -> tuple[str, ...]:
    """Return the names of the tables whose full run is stored."""
    return tuple(name for name in paper_tables() if name in table_results.stored_results())


def stored_cells(name: str) -> tuple[Cell, ...]:
    """Return the cells of a table's full run.

    Raises
    ------
    InputError
        If there is none, or its file is damaged.
    """
    return table_results.load_results(name)


def stored_network(name: str) -> str | None:
    """Return the network behind a table's full run, in words; None where it was not noted. Raises as `stored_cells`."""
    return table_results.stored_network(name)
