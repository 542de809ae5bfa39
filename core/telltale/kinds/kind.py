"""What a kind of evidence is. Adding one: a class in a file of its own, and its line in `telltale.kinds.registry`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from telltale.base.errors import InputError
from telltale.base.processes import Work
from telltale.detectors.base import Arrays, Detector
from telltale.detectors.fitted_detectors import FittedDetectors
from telltale.evidence.evidence import Evidence
from telltale.evidence.reference import Reference
from telltale.models.trace import Trace

if TYPE_CHECKING:
    from telltale.models.classifier import Classifier

Images = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Fitting:
    """What a kind can be fitted to: the training images, as the classifier sees them.

    Attributes
    ----------
    labels : array of int64, shape (N,)
        True classes of the training images.
    classes : int
    trace : Trace of the N images
    held_out : Trace of n natural images of the fit split
        They choose settings by their likelihood.
    truth : array of int64, shape (n,)
        Their true classes.
    seed : int
    folder : Path
        Where candidates are kept; they are not fitted again.
    head_problem : str or None
        Why the network has no linear head whose output is its logits; None where it has one.
    trained_on : bool or None
        Whether the classifier has learned from the training images, as they are called here; None where nobody says.
    """

    labels: npt.NDArray[np.int64]
    classes: int
    trace: Trace
    held_out: Trace
    truth: npt.NDArray[np.int64]
    seed: int
    folder: Path
    head_problem: str | None = None
    trained_on: bool | None = True


class Beside(Protocol):
    """A classifier, or its spec, as far as kinds ask what stands beside it."""

    @property
    def twin(self) -> object | None:
        """Of the second network; None where there is none."""


@dataclass(frozen=True)
class Need:
    """Something that a kind of evidence cannot do without.

    Attributes
    ----------
    problem : callable
        Takes a `Fitting` and says in one sentence what is missing, or returns None.
    """

    problem: Callable[[Fitting], str | None]


@dataclass(frozen=True)
class Observation:
    """What a kind measured on the pixels of n images.

    Attributes
    ----------
    readings : mapping of str to array of float64, shape (n, ...)
        Kept for every image, and read by detectors (`telltale.evidence.readings`).
    detail : object
        Whatever `Kind.view` needs besides, of the same images; never stored.
    """

    readings: Mapping[str, npt.NDArray[np.float64]] = field(default_factory=dict)
    detail: object = None


@dataclass(frozen=True)
class Finishing:
    """What is known when the detectors are fitted: for what a bundle stores about a kind besides.

    Attributes
    ----------
    reference : Reference
    fit, calibration, test : Evidence
        Of the correctly read natural images of each split.
    test_with_errors : Evidence
        Of all natural images of the test split.
    detectors : mapping of str to Detector
        What detectors have fitted beside themselves (`Detector.companions`).
    """

    reference: Reference
    fit: Evidence
    calibration: Evidence
    test: Evidence
    test_with_errors: Evidence
    detectors: Mapping[str, Detector]


@dataclass(frozen=True)
class Finished:
    """What a bundle stores about a kind.

    Attributes
    ----------
    files : mapping of str to arrays
        By file name.
    notes : mapping of str to object
        For the manifest, as JSON.
    """

    files: Mapping[str, Arrays] = field(default_factory=dict)
    notes: Mapping[str, object] = field(default_factory=dict)


class Stored(Protocol):
    """A bundle, as far as kinds read it."""

    @property
    def notes(self) -> Mapping[str, Any]:
        """What the manifest notes."""

    @property
    def maps(self) -> Mapping[str, npt.NDArray[np.float32]]:
        """Maps of the training images, each of shape (L, N, 2)."""

    def arrays(self, file: str) -> Arrays:
        """Read a file of named arrays."""

    def detector_arrays(self, name: str) -> Arrays | None:
        """Read what was fitted under a detector's name."""


@dataclass(frozen=True)
class Seen:
    """One image, or several, as a kind finds them.

    Attributes
    ----------
    evidence : Evidence
    fitted : FittedDetectors
    opened : object
        What `Kind.open` has read from the bundle.
    detail : object
        What `Kind.observe` has left for the view.
    """

    evidence: Evidence
    fitted: FittedDetectors
    opened: object = None
    detail: object = None


class Kind(ABC):
    """One kind of evidence; every step but the view may be left out.

    A subclass declares `name`, under which an `Analysis` and a bundle know it, and `title`, for people. `needs` says
    what it cannot do without when it is fitted: where that is missing, everything else goes on. `readings` names what
    `observe` measures. `followed` says whether its view is cheap enough, and needs no pixels, to be drawn for every
    strength of an attack.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    needs: ClassVar[tuple[Need, ...]] = ()
    readings: ClassVar[tuple[str, ...]] = ()
    followed: ClassVar[bool] = False

    def lacks(self, classifier: Beside) -> str | None:
        """Say in one sentence what a classifier lacks for `observe`; None where it lacks nothing.

        Parameters
        ----------
        classifier : Classifier or ClassifierSpec
        """
        del classifier
        return None

    def versions(self, images: Images) -> Images | None:
        """Return m other versions of n images for `read`, (m, n, C, H, W); None where `observe` needs more than logits.

        One pass reads them together with those that other kinds ask for.
        """
        del images
        return None

    def read(self, trace: Trace, logits: npt.NDArray[np.float32]) -> Observation:
        """Measure what the network makes of `versions`.

        Parameters
        ----------
        trace : Trace of the n images
        logits : array of float32, shape (m, n, classes)
            Of their versions.
        """
        del trace, logits
        return Observation()

    def observe(self, classifier: Classifier, images: Images, trace: Trace) -> Observation:
        """Measure on pixels what no trace tells.

        Parameters
        ----------
        classifier : Classifier
        images : array of float32, shape (n, C, H, W), in [0, 1]
        trace : Trace of the n images
        """
        versions = self.versions(images)
        if versions is None:
            return Observation()
        logits = classifier.logits_of(versions.reshape(-1, *images.shape[1:]))
        return self.read(trace, logits.reshape(*versions.shape[:2], -1))

    def prepare(self, fitting: Fitting) -> Work[Any] | None:
        """Return what is to be computed in worker processes before `fit`, as files in ``fitting.folder``."""
        del fitting
        return None

    def fit(self, fitting: Fitting) -> object:
        """Return what is fitted to the training images; None where there is nothing."""
        del fitting
        return None

    def arrays(self, fitted: object) -> Arrays:
        """Return what was fitted as arrays, whose names no other kind uses."""
        del fitted
        return {}

    def restore(self, arrays: Arrays, layers: int) -> object:
        """Take back what `arrays` returned, out of the arrays of all kinds; None where there is none of this kind."""
        del arrays, layers
        return None

    def finish(self, finishing: Finishing) -> Finished:
        """Return what a bundle stores about this kind besides."""
        del finishing
        return Finished()

    def open(self, stored: Stored) -> object:
        """Read what `finish` wrote, for the views."""
        del stored
        return None

    def columns(self, evidence: Evidence) -> dict[str, npt.NDArray[np.float64]]:
        """Return what a table of scores holds about each of n images, by column, each of shape (n,)."""
        del evidence
        return {}

    def explain(self, seen: Seen, labels: npt.NDArray[np.int64]) -> dict[str, Any]:
        """Say why n images are misread: arrays of shape (n, ...) and single words or numbers, by name.

        Parameters
        ----------
        seen : Seen
            The n misread images.
        labels : array of int64, shape (n,)
            Their true classes.
        """
        del seen, labels
        return {}

    @abstractmethod
    def view(self, seen: Seen) -> object:
        """Return what an analysis shows of one image, as a dataclass of plain arrays whose `kind` is this name."""


def problem_of(kind: Kind, fitting: Fitting) -> str | None:
    """Say in one sentence why a kind cannot be fitted, or return None."""
    return next((problem for need in kind.needs if (problem := need.problem(fitting)) is not None), None)


def opened(seen: Seen, expected: type[Any]) -> Any:
    """Return what a kind has opened, checked to be what it expects."""
    if not isinstance(seen.opened, expected):
        raise InputError(f"Nothing of type {expected.__name__} was opened with this bundle.")
    return seen.opened
