"""A bundle as everything else sees it: a model's name, data, fitted arrays and stored scores. Never imports torch."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from telltale.attacks.registry import ATTACKS
from telltale.base import files
from telltale.base.display import Drawn
from telltale.base.errors import DamagedBundleError, InputError
from telltale.base.parameters import ParameterValue
from telltale.base.places import PRECOMPUTED, writable
from telltale.bundle import store
from telltale.bundle.manifest import Manifest, check_name
from telltale.bundle.own_data import TRAINED_ON, UNLABELLED, as_noted, as_read, noted_sizing
from telltale.bundle.verify import check_at_load
from telltale.data.image_set import ImageSet
from telltale.data.sources import KNOWN_SOURCES, find_image_set
from telltale.data.splits import Splits
from telltale.kinds.density import DENSITY_MAP_FILE
from telltale.recipes import RECIPES, Story
from telltale.scores.calibration import Calibration
from telltale.scores.table import ATTACK, IMAGE_ID, PREDICTION, numbers

BUNDLES_VARIABLE = "TELLTALE_BUNDLES"

WEIGHTS_FILE = "weights.safetensors"
SPLITS_FILE = "splits.safetensors"
SCORES_FILE = "scores.parquet"
MAPS_FILE = "maps.safetensors"
REFERENCE_FILE = "reference.safetensors"
CALIBRATION_FILE = "calibration.safetensors"
DETECTORS_FOLDER = "detectors"

OWN, UNFINISHED, DRAWN, STORY = "own_classifier", "unfinished", "drawn", "story"  # notes of the manifest
MISSING_DETECTORS = "missing_detectors"  # a note: sentences on detectors for which the references are too few, by name

NEED_LABELS = (
    "The images have no labels, so what the model reads takes their place and no answer of it can be called wrong; a "
    "build on one folder per class would bring this."
)

Ids = npt.NDArray[np.int64]

_OPENED: WeakValueDictionary[str, Bundle] = WeakValueDictionary()


@dataclass(frozen=True)
class DensityMap:
    """The hidden states of the training images on a 2-D class map.

    Attributes
    ----------
    points : array of float32, shape (n_train, 2)
        In order of ``splits.train``.
    labels : array of int64, shape (n_train,)
    means : array of float64, shape (C, 2)
    covariances : array of float64, shape (C, 2, 2)
    """

    points: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    means: npt.NDArray[np.float64]
    covariances: npt.NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class Bundle(Drawn):
    """A model with its data reference and everything fitted to them; files are read on first use.

    Attributes
    ----------
    folder : Path
    id : str
        SHA-256 (hex) of the manifest, which holds the checksums of all other files: part of every cache key.
    manifest : Manifest
    """

    folder: Path
    id: str
    manifest: Manifest

    def __repr__(self) -> str:
        classes, shape = len(self.class_names), "×".join(map(str, self.image_shape))
        return f"<Bundle '{self.name}': {self.manifest.title}, {classes} classes of {shape}, {self.folder}>"

    @property
    def name(self) -> str:
        """Name of the bundle and of its folder."""
        return self.manifest.name

    @property
    def notes(self) -> dict[str, Any]:
        """What the manifest notes besides."""
        return self.manifest.notes

    @property
    def seed(self) -> int:
        """Seed under which it was built."""
        return self.manifest.seed

    @property
    def macro_attacks(self) -> tuple[str, ...] | None:
        """Attacks behind the macro figures; all where None."""
        attacks = self.manifest.notes.get("macro_attacks")
        return None if attacks is None else tuple(attacks)

    @property
    def missing_detectors(self) -> dict[str, str]:
        """Detectors for which its references are too few, each with a sentence."""
        return dict(self.manifest.notes.get(MISSING_DETECTORS, {}))

    @property
    def unfinished(self) -> bool:
        """Whether it is the first part of a build that goes on: its attacks have not been run yet."""
        return bool(self.manifest.notes.get(UNFINISHED, False))

    @property
    def own(self) -> bool:
        """Whether it was built around somebody's own classifier."""
        return bool(self.manifest.notes.get(OWN, False))

    @property
    def drawn(self) -> bool:
        """Whether its images were drawn, not photographed."""
        return bool(self.manifest.notes.get(DRAWN, False))

    @property
    def story(self) -> Story | None:
        """Which attacked image a person sees first, where its plan says."""
        noted = self.manifest.notes.get(STORY)
        return Story(str(noted["label"]), str(noted["read_as"])) if isinstance(noted, dict) else None

    @property
    def trained_on(self) -> bool | None:
        """Whether the classifier has learned from the references, or from all images; None where nobody says."""
        found = self.manifest.notes.get(TRAINED_ON)
        return found if isinstance(found, bool) else None if self.own else True

    @property
    def alone(self) -> bool:
        """Whether there is nothing but the classifier: no image to compare with."""
        return self.manifest.data.n == 0

    def require_held_out(self) -> None:
        """Do nothing where there are images by which its detectors were judged.

        Raises
        ------
        InputError
            If there are none; the sentence says what would bring them.
        """
        if self.alone:
            raise InputError(str(self.data_problem))

    @property
    def labelled(self) -> bool:
        """Whether it has images with labels; without these, what the classifier reads takes their place."""
        return self.label_problem is None

    @property
    def label_problem(self) -> str | None:
        """What would bring images with labels, in one sentence; None where there are some."""
        if self.alone:
            return self.data_problem
        return NEED_LABELS if self.manifest.notes.get(UNLABELLED, False) else None

    @property
    def training_problem(self) -> str | None:
        """Why its references cannot be doubted and corrected as training images, in one sentence, or None."""
        found: str | None = self.notes.get("missing", {}).get("influence")
        return self.label_problem or found

    def require_labels(self) -> None:
        """Do nothing where there are images with labels.

        Raises
        ------
        InputError
            If there are none; the sentence is `label_problem`.
        """
        if self.label_problem is not None:
            raise InputError(self.label_problem)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Shape (C, H, W) of one image."""
        return self.manifest.data.image_shape

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of every class, by label."""
        return self.manifest.data.class_names

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the L traced layers, in order."""
        return self.manifest.layers

    @property
    def image_set(self) -> ImageSet | None:
        """The data it was built on, or None where `data_problem` says why it is not at hand."""
        return self._data[0]

    @property
    def data_problem(self) -> str | None:
        """Why the data set is not at hand, in one sentence, or None. The network is never asked."""
        return self._data[1]

    def require_images(self) -> ImageSet:
        """Return the data it was built on.

        Raises
        ------
        InputError
            If it is not at hand; the sentence is `data_problem`.
        """
        image_set, problem = self._data
        if image_set is None:
            raise InputError(str(problem))
        return image_set

    @cached_property
    def splits(self) -> Splits:
        """Image ids of train, fit, calibration and test."""
        return Splits.from_arrays(self.arrays(SPLITS_FILE))

    @cached_property
    def scores(self) -> pa.Table:
        """Stored scores, one row per evaluated image version; the columns are listed in docs/design.md."""
        return files.load_table(self.path(SCORES_FILE))

    @cached_property
    def maps(self) -> dict[str, npt.NDArray[np.float32]]:
        """Maps ``"umap"`` and ``"pca"`` of the training images, each float32 (L, n_train, 2)."""
        return self.arrays(MAPS_FILE)

    @cached_property
    def training_labels(self) -> npt.NDArray[np.int64]:
        """True class of every reference image, in order of ``splits.train``."""
        return files.load_one_array(self.path(REFERENCE_FILE), "labels")

    @cached_property
    def density_map(self) -> DensityMap:
        """The class map of the hidden states."""
        arrays = self.arrays(DENSITY_MAP_FILE)
        try:
            return DensityMap(arrays["points"], arrays["labels"], arrays["means"], arrays["covariances"])
        except KeyError as error:
            raise DamagedBundleError(f"The file '{DENSITY_MAP_FILE}' of bundle '{self.name}' lacks {error}.") from error

    def calibration(self, detector: str) -> Calibration | None:
        """Return the calibration of one detector, or None where it has none."""
        scores = self._calibration_scores.get(detector)
        return None if scores is None else Calibration.of(scores)

    def attack_parameters(self, attack: str) -> dict[str, ParameterValue]:
        """Return the parameters behind the stored scores of an attack, which suit the images.

        An attack without any takes those that it shares with `AttackSpec.parameters_of`; empty if that has none.
        """
        stored = {entry["name"]: entry.get("parameters", {}) for entry in self.manifest.attacks}
        spec = ATTACKS.get(attack)
        if attack in stored or spec is None or spec.parameters_of is None:
            return dict(stored.get(attack, {}))
        own = {parameter.name for parameter in spec.parameters}
        return {name: value for name, value in stored.get(spec.parameters_of, {}).items() if name in own}

    def arrays(self, file: str) -> dict[str, npt.NDArray[Any]]:
        """Read the named arrays of a safetensors file of the bundle.

        Parameters
        ----------
        file : str
            Path relative to the folder, as listed in the manifest.

        Raises
        ------
        DamagedBundleError
            If it is not listed or unreadable.
        """
        return files.load_arrays(self.path(file))

    def array(self, file: str) -> npt.NDArray[Any]:
        """Map a ``.npy`` file of the bundle into memory, read-only.

        Raises
        ------
        DamagedBundleError
            If it is not listed or unreadable.
        """
        return files.open_array(self.path(file))

    def json(self, file: str) -> dict[str, Any]:
        """Read a JSON object of the bundle.

        Raises
        ------
        DamagedBundleError
            If it is not listed or unreadable.
        """
        return files.load_json(self.path(file))

    def detector_arrays(self, name: str) -> dict[str, npt.NDArray[Any]] | None:
        """Read what was fitted under a detector's name, or return None where nothing was."""
        file = f"{DETECTORS_FOLDER}/{name}.safetensors"
        return self.arrays(file) if file in self.manifest.files else None

    def path(self, file: str) -> Path:
        """Return where a listed file of the bundle lies.

        Raises
        ------
        DamagedBundleError
            If the manifest does not list it.
        """
        if file not in self.manifest.files:
            raise DamagedBundleError(f"The bundle '{self.name}' has no file '{file}'; build it again.")
        return self.folder / file

    @cached_property
    def _calibration_scores(self) -> dict[str, npt.NDArray[np.float64]]:
        return self.arrays(CALIBRATION_FILE)

    @cached_property
    def _data(self) -> tuple[ImageSet | None, str | None]:
        if self.alone:
            return None, (
                f"'{self.name}' was given without images: a build on some like those that it will judge, one folder "
                f"per class ('telltale build {self.name} --data FOLDER'), would bring this."
            )
        reference = self.manifest.data
        # A folder that has moved since may lie among the data folders by the name that everyone knows.
        namesake = [self.name] if self.name in KNOWN_SOURCES else []
        try:
            sizing = noted_sizing(self.notes)
            image_set = find_image_set(reference.fingerprint, reference.source, *namesake, sizing=sizing)
        except InputError as error:
            reason = str(error)
            return None, f"The images of '{self.name}' are not on this machine: {reason[:1].lower()}{reason[1:]}"
        if image_set is None:
            return None, (
                f"The data set '{reference.source}' on this machine is not the one that '{self.name}' was built on: "
                "their fingerprints differ."
            )
        if not self.labelled:
            return as_read(image_set, self._answers(), self.class_names), None
        return as_noted(image_set, self.notes, self.class_names), None

    def _answers(self) -> tuple[tuple[Ids, Ids], ...]:
        """Return what the classifier has read references and held-out natural images as, as ids and classes."""
        natural = self.scores.filter(pc.field(ATTACK) == "").select([IMAGE_ID, PREDICTION])
        ids, read = (numbers(natural, name).astype(np.int64) for name in (IMAGE_ID, PREDICTION))
        return (self.splits.train, self.training_labels), (ids, read)


def named_folders() -> tuple[Path, ...]:
    """Folders of bundles that the environment variable ``TELLTALE_BUNDLES`` names."""
    listed = os.environ.get(BUNDLES_VARIABLE, "").split(os.pathsep)
    return tuple(Path(folder).expanduser() for folder in listed if folder)


def bundle_folders() -> tuple[Path, ...]:
    """Folders in which bundles are looked for: those named, those built by this person, then the shipped ones."""
    return tuple(dict.fromkeys((*named_folders(), writable(PRECOMPUTED), PRECOMPUTED)))


def list_bundles() -> tuple[str, ...]:
    """Return the names of all bundles that can be found, in alphabetical order, damaged ones included."""
    names = set()
    for folder in bundle_folders():
        if folder.is_dir():
            names |= {entry.name.removesuffix(store.REPLACED_SUFFIX) for entry in folder.iterdir() if entry.is_dir()}
    return tuple(sorted(name for name in names if _search(name) is not None))


def find_bundle(name_or_path: str | Path) -> Path:
    """Return the folder of a bundle.

    Parameters
    ----------
    name_or_path : str or Path
        A name, looked for in `bundle_folders`, or a path.

    Raises
    ------
    InputError
        If there is no such bundle; the message lists those present.
    """
    is_path = isinstance(name_or_path, Path) or os.sep in name_or_path
    folder = store.find_folder(Path(name_or_path)) if is_path else _search(str(name_or_path))
    if folder is None:
        present = ", ".join(list_bundles()) or "none"
        known = f" 'telltale build {name_or_path} --data ...' makes it." if name_or_path in RECIPES else ""
        raise InputError(f"There is no bundle '{name_or_path}'; bundles present: {present}.{known}")
    return folder


def load_bundle(name_or_path: str | Path) -> Bundle:
    """Open a bundle after checking that its files are the ones it was built with.

    Every file is checked for presence and size each time, and the content of those under 32 MB when a bundle is
    first opened; `verify_bundle` checks all of them. The same bundle, unchanged, is returned as the same object.

    Parameters
    ----------
    name_or_path : str or Path
        A name, looked for in `bundle_folders`, or a path.

    Raises
    ------
    InputError
        If there is no such bundle, or it has another format version.
    DamagedBundleError
        If the manifest or a file is damaged or missing.
    """
    folder = find_bundle(name_or_path).resolve()
    text = store.read_manifest_bytes(folder)
    bundle = _open(folder, text)
    check_at_load(folder, bundle.manifest, hashed=False)
    _OPENED[bundle.id] = bundle
    return bundle


def opened_bundle(name: str, bundle_id: str) -> Bundle:
    """Return the bundle of a content id: one that this process has opened, from wherever, or the one of that name.

    Raises
    ------
    InputError
        If neither has that id.
    """
    opened = _OPENED.get(bundle_id)
    if opened is not None:
        return opened
    bundle = load_bundle(name)
    if bundle.id != bundle_id:
        raise InputError(f"The bundle '{name}' here is not the one that computed this result: open that one first.")
    return bundle


@lru_cache(maxsize=8)
def _open(folder: Path, text: bytes) -> Bundle:
    manifest = Manifest.parse(text.decode("utf-8", errors="replace"))
    check_at_load(folder, manifest, hashed=True)
    return Bundle(folder, hashlib.sha256(text).hexdigest(), manifest)


def _search(name: str) -> Path | None:
    try:
        check_name(name)
    except InputError:
        return None
    candidates = (store.find_folder(folder / name) for folder in bundle_folders())
    return next((folder for folder in candidates if folder is not None), None)
