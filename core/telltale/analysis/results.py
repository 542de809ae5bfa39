"""What an analysis returns: plain arrays that pages, notebooks and the command line draw from. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from telltale.base.display import Drawn
from telltale.base.errors import InputError
from telltale.scores.verdicts import FusedVerdict, Verdict

View = TypeVar("View")
FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Prediction:
    """The classifier's answer for one image.

    Attributes
    ----------
    label : int
        Index of the predicted class.
    name : str
        Its name.
    confidence : float
        Its softmax probability.
    probabilities : array of float64, shape (C,)
    """

    label: int
    name: str
    confidence: float
    probabilities: DoubleArray


@dataclass(frozen=True)
class Unavailable:
    """Stands for a kind of evidence that cannot be had.

    Attributes
    ----------
    reason : str
        One sentence.
    """

    reason: str


def view_of(evidence: Mapping[str, object], kind: type[View]) -> View:
    """Return the view of a type out of everything that was found.

    Raises
    ------
    InputError
        If it is not available.
    """
    for found in evidence.values():
        if isinstance(found, kind):
            return found
    name = getattr(kind, "kind", kind.__name__)
    missing = evidence.get(name)
    reason = missing.reason if isinstance(missing, Unavailable) else f"This holds no evidence of kind '{name}'."
    raise InputError(reason)


@dataclass(frozen=True)
class Analysis(Drawn):
    """One image through trace, evidence, scores and verdicts; computed together, identical under any load.

    Attributes
    ----------
    bundle : str
    bundle_id : str
        Content id of the bundle that computed it.
    image_sha256 : str
    image : array of float32, shape (C, H, W)
    prediction : Prediction
    evidence : mapping of str to object
        What every kind of evidence shows of the image, by the kind's name (`telltale.kinds`); `Unavailable` where a
        kind is not available. `view` finds one by its type.
    verdicts : tuple of Verdict
        One per detector.
    fused : FusedVerdict or None
        None for a bundle without a fusion.
    timings_ms : mapping of str to float
        Milliseconds per stop of the flow and in ``total``; ``versions`` is the pass that reads all other versions of
        the image that kinds of evidence ask for.
    """

    bundle: str
    bundle_id: str
    image_sha256: str
    image: FloatArray
    prediction: Prediction
    evidence: Mapping[str, object]
    verdicts: tuple[Verdict, ...]
    fused: FusedVerdict | None
    timings_ms: Mapping[str, float]

    def view(self, kind: type[View]) -> View:
        """Return what one kind of evidence shows, by the type of its view, such as `TrajectoryView`.

        Raises
        ------
        InputError
            If the kind is not available; the sentence says why.
        """
        return view_of(self.evidence, kind)

    def find(self, kind: type[View]) -> View | None:
        """Return what one kind of evidence shows, or None where it is not available; see `view`."""
        return next((view for view in self.evidence.values() if isinstance(view, kind)), None)

    def judged_by(self, detector: str) -> bool:
        """Return whether the bundle has a detector of a name."""
        return any(verdict.detector == detector for verdict in self._all_verdicts)

    def verdict(self, detector: str) -> Verdict:
        """Return the verdict of one detector, or the fused one, by name.

        Raises
        ------
        InputError
            If the bundle has no such detector.
        """
        for verdict in self._all_verdicts:
            if verdict.detector == detector:
                return verdict
        raise InputError(f"The bundle '{self.bundle}' has no detector '{detector}'.")

    @property
    def _all_verdicts(self) -> tuple[Verdict, ...]:
        return (*self.verdicts, *(() if self.fused is None else (self.fused.attack,)))

    def to_json(self) -> dict[str, object]:
        """Return the stable JSON object of ``telltale analyse --json``."""
        return {
            "image_sha256": self.image_sha256,
            "prediction": {"label": self.prediction.name, "confidence": self.prediction.confidence},
            "verdicts": [v.to_json() for v in self.verdicts],
            "fused": None if self.fused is None else self.fused.to_json(),
            "timings_ms": dict(self.timings_ms),
        }


@dataclass(frozen=True)
class Comparison(Drawn):
    """A natural image and its attacked version, analysed by the same bundle.

    Attributes
    ----------
    natural, attacked : Analysis

    Raises
    ------
    InputError
        If two bundles, or two false-positive rates, are behind them.
    """

    natural: Analysis
    attacked: Analysis

    def __post_init__(self) -> None:
        if self.natural.bundle_id != self.attacked.bundle_id:
            raise InputError("Both images must be analysed by the same bundle.")
        if {v.alpha for v in self.natural.verdicts} != {v.alpha for v in self.attacked.verdicts}:
            raise InputError("Both images must be analysed at the same false-positive rate alpha.")


@dataclass(frozen=True)
class SweepPoint:
    """One strength on the straight line from a natural to an attacked image.

    Attributes
    ----------
    strength : float
        0 is the natural image, 1 the attacked one; clipped to [0, 1] pixels and rounded to 8 bits.
    linf : float
        Largest pixel change from the natural image.
    prediction : Prediction
    evidence : mapping of str to object
        As in `Analysis`, of the kinds that are followed along an attack.
    """

    strength: float
    linf: float
    prediction: Prediction
    evidence: Mapping[str, object]

    def view(self, kind: type[View]) -> View:
        """Return what one kind of evidence shows; see `Analysis.view`."""
        return view_of(self.evidence, kind)


@dataclass(frozen=True)
class FewClasses:
    """What it takes to fool a network that may answer with some of its classes only, in the median of some draws.

    Attributes
    ----------
    classes : tuple of int
        That it may answer with in that draw, the image's own first.
    image : array of float32, shape (C, H, W)
        After the attack, on the 8-bit grid.
    label : int
        What this network reads there.
    fooled : bool
        Whether that is another class than before.
    l2, linf : float
        Norms of the change, of pixels in [0, 1].
    range : (float, float)
        Smallest and largest L2 norm over all draws; infinite where one did not fool it.
    draws : int
    """

    classes: tuple[int, ...]
    image: FloatArray
    label: int
    fooled: bool
    l2: float
    linf: float
    range: tuple[float, float]
    draws: int


@dataclass(frozen=True)
class SavedReading:
    """How an attacked image is read after it was saved as a file and opened again.

    Attributes
    ----------
    file : str
        Format, with its quality where it has one.
    size : int
        Bytes of the file.
    linf : float
        Largest change of a pixel through saving, in [0, 1] pixel units; 0 for a lossless format.
    prediction : Prediction
    adversarial : bool
        Whether the attack still reaches its aim.
    """

    file: str
    size: int
    linf: float
    prediction: Prediction
    adversarial: bool


@dataclass(frozen=True)
class LiveScores:
    """Scores of freshly attacked images beside their natural versions.

    Attributes
    ----------
    ids : array of int64, shape (n,)
        Images that the classifier gets right; only those are attacked.
    natural, attacked : mapping of detector name to array of float64, shape (n,)
    success : array of bool, shape (n,)
        Whether the attacked image is adversarial; scores of failed attempts never count as adversarial.
    skipped : int
        Images left out because the classifier errs on them.
    """

    ids: IntArray
    natural: Mapping[str, DoubleArray]
    attacked: Mapping[str, DoubleArray]
    success: npt.NDArray[np.bool_]
    skipped: int
