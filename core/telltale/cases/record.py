"""What a saved case is: an image, what was done to it, and the numbers that were shown. No torch, no storage here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from telltale.attacks.base import RandomTarget
from telltale.base.parameters import ParameterValue

FORMAT = "telltale-case"
VERSION = 1


@dataclass(frozen=True)
class CaseSettings:
    """What decides a case's numbers, beside its pixels.

    Attributes
    ----------
    bundle : str
        Name of the bundle.
    image : str
        Where the image came from, as links write it (``"test-12"``, ``"png-…"``); the pixels are stored beside it.
    attack : str or None
        Registry name; None leaves the image natural.
    parameters : mapping of str to value
        Every parameter of the attack.
    target : int, "random" or None
        Class to reach; "random" draws another one from the seed.
    seed : int
    alpha : float
        False-positive rate of the verdicts.
    """

    bundle: str
    image: str
    attack: str | None
    parameters: dict[str, ParameterValue]
    target: int | RandomTarget | None
    seed: int
    alpha: float


@dataclass(frozen=True)
class VerdictNumbers:
    """One detector's answer; p-value, threshold and verdict are None where it is not calibrated.

    Attributes
    ----------
    detector : str
        Registry name.
    score, p_value, threshold : float or None
        A score is None where it is not finite, because JSON has no such number.
    adversarial : bool or None
    n_calibration : int
    """

    detector: str
    score: float | None
    p_value: float | None
    threshold: float | None
    adversarial: bool | None
    n_calibration: int


@dataclass(frozen=True)
class FusedNumbers:
    """The answer of all detectors together.

    Attributes
    ----------
    kind : {"natural", "error", "adversarial", "uncalibrated"}
    attack : VerdictNumbers
    error : VerdictNumbers or None
        Of the score of natural errors, where it was fitted.
    contributions : mapping of str to float
        What each detector adds to the log odds of an attack, beside an average natural image.
    """

    kind: Literal["natural", "error", "adversarial", "uncalibrated"]
    attack: VerdictNumbers
    error: VerdictNumbers | None
    contributions: dict[str, float]


@dataclass(frozen=True)
class ClassShare:
    """One class and its softmax probability."""

    name: str
    probability: float


@dataclass(frozen=True)
class ImageNumbers:
    """What was found about one image.

    Attributes
    ----------
    image_sha256 : str
        Of shape and 8-bit pixels, see `telltale.base.images.image_sha256`.
    label : int
        Predicted class.
    prediction : str
        Its name.
    confidence : float
    top : tuple of ClassShare
        The likeliest classes, the likeliest first.
    mean_entropy : float
        Of the feature response, in bits.
    log_density : float or None
        log p(H | predicted class) in nats.
    suspicion : tuple of float
        Running suspicion after every layer.
    verdicts : tuple of VerdictNumbers
    fused : FusedNumbers or None
    """

    image_sha256: str
    label: int
    prediction: str
    confidence: float
    top: tuple[ClassShare, ...]
    mean_entropy: float
    log_density: float | None
    suspicion: tuple[float, ...]
    verdicts: tuple[VerdictNumbers, ...]
    fused: FusedNumbers | None

    @property
    def noticing(self) -> tuple[int, int]:
        """How many detectors call the image adversarial, and how many can say anything."""
        answers = [verdict.adversarial for verdict in self.verdicts if verdict.adversarial is not None]
        return sum(answers), len(answers)


@dataclass(frozen=True)
class AttackNumbers:
    """What an attack achieved and cost.

    Attributes
    ----------
    success : bool
    target : str or None
        Name of the class that was aimed at.
    linf, l2 : float
        Norms of the 8-bit perturbation in [0, 1] pixel units.
    l0 : int
        Changed pixel positions.
    gradients, queries : int
        Backward and forward passes.
    """

    success: bool
    target: str | None
    linf: float
    l2: float
    l0: int
    gradients: int
    queries: int


@dataclass(frozen=True)
class CaseNumbers:
    """Everything that was shown of a case.

    Attributes
    ----------
    true_class : str or None
        The data set's own label, where the image comes from it.
    natural : ImageNumbers
    attack : AttackNumbers or None
    attacked : ImageNumbers or None
    """

    true_class: str | None
    natural: ImageNumbers
    attack: AttackNumbers | None
    attacked: ImageNumbers | None

    @property
    def judged(self) -> ImageNumbers:
        """The image that the case is about: the attacked one, where there is one."""
        return self.natural if self.attacked is None else self.attacked

    def images(self) -> tuple[tuple[str, ImageNumbers], ...]:
        """Return (name, numbers) of the natural image and, where there is one, of the attacked image."""
        pairs = (("natural", self.natural),)
        return pairs if self.attacked is None else (*pairs, ("attacked", self.attacked))


@dataclass(frozen=True)
class CaseRecord:
    """A case without its pixels.

    Attributes
    ----------
    id : str
        32 hexadecimal digits.
    saved_at : datetime
        In UTC.
    note : str
    tags : tuple of str
    title : str
        The image in a few words.
    settings : CaseSettings
    bundle_id : str
        Content id of the bundle that computed the numbers.
    numbers : CaseNumbers
    """

    id: str
    saved_at: datetime
    note: str
    tags: tuple[str, ...]
    title: str
    settings: CaseSettings
    bundle_id: str
    numbers: CaseNumbers

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object that `telltale.cases.reading.read_record` reads; numbers keep every digit."""
        fields = asdict(self) | {"saved_at": self.saved_at.astimezone(UTC).isoformat()}
        return {"format": FORMAT, "version": VERSION, **fields}


@dataclass(frozen=True)
class SavedCase:
    """A case with its pixels.

    Attributes
    ----------
    record : CaseRecord
    natural_png : bytes
        The classifier's exact input.
    attacked_png : bytes or None
        The attacked image, also where the attack failed (its best attempt).
    """

    record: CaseRecord
    natural_png: bytes
    attacked_png: bytes | None

    @property
    def judged_png(self) -> bytes:
        """The image that the case is about: the attacked one, where there is one."""
        return self.natural_png if self.attacked_png is None else self.attacked_png


def finite_or_none(value: float | None) -> float | None:
    """Return a number that JSON can hold."""
    return None if value is None or not math.isfinite(value) else float(value)


def parameters_of(values: Mapping[str, ParameterValue]) -> dict[str, ParameterValue]:
    """Return parameters in the order of their names, so that equal cases are written alike."""
    return dict(sorted(values.items()))
