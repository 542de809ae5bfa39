"""What a detector is: constructor parameters, `fit`, `score`, and arrays that can be stored and read back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import GroupKFold

from telltale.base.errors import InputError, NotFittedError
from telltale.base.parameters import ParameterValue
from telltale.base.settings import Settings
from telltale.evidence.evidence import Evidence

Arrays = dict[str, npt.NDArray[Any]]
FOLDS = 5


@dataclass(frozen=True)
class Labels:
    """What is known about the images that a detector is fitted on.

    Attributes
    ----------
    adversarial : array of bool, shape (n,)
    attacks : array of str, shape (n,)
        Attack behind each adversarial image, "" for natural ones.
    groups : array of int64, shape (n,)
        Data-set id; all versions of an image share it, so that folds never split them.
    """

    adversarial: npt.NDArray[np.bool_]
    attacks: npt.NDArray[np.str_]
    groups: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.adversarial)

    def folds(self) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
        """Yield (fit rows, held-out rows) of a cross-validation grouped by image.

        Raises
        ------
        InputError
            If there are fewer than two images.
        """
        images = len(np.unique(self.groups))
        if images < 2:
            raise InputError(f"Cross-validation needs at least 2 different images, got {images}.")
        folds = GroupKFold(n_splits=min(FOLDS, images))
        yield from folds.split(np.zeros(len(self)), groups=self.groups)

    def take(self, index: npt.NDArray[np.int64]) -> Labels:
        """Return the labels of some of the images."""
        return Labels(self.adversarial[index], self.attacks[index], self.groups[index])

    @property
    def known_attacks(self) -> tuple[str, ...]:
        """Names of the attacks among them, in alphabetical order."""
        return tuple(str(name) for name in np.unique(self.attacks[self.adversarial]))

    def balanced_weights(self) -> npt.NDArray[np.float64]:
        """Return sampling weights, mean 1: natural images one half, attacks the other by the roots of their numbers.

        Counting images, an attack that often succeeds would drown the others; counting attacks, five images of one
        would weigh as much as four hundred of another.
        """
        weights = np.zeros(len(self))
        names, counts = np.unique(self.attacks[self.adversarial], return_counts=True)
        weights[~self.adversarial] = 0.5 / max(1, int((~self.adversarial).sum()))
        shares = np.sqrt(counts) / np.sqrt(counts).sum()
        for name, count, share in zip(names, counts, shares, strict=True):
            weights[self.adversarial & (self.attacks == name)] = 0.5 * share / count
        return np.asarray(weights * len(self) / weights.sum(), dtype=np.float64)


class Detector(ABC):
    """Base of all detectors.

    A subclass declares `name`, `title`, `paper`, `summary` and `reads`, the kinds of evidence that it cannot do without
    (`telltale.kinds`; a bundle that lacks one leaves the detector out), and writes `_fit`, `_score`, `_arrays` and
    `_restore`. Where it has parameters it gives the defaults of its `settings`, an instance of its own subclass of
    `Settings`. It may say in `page` where its evidence is shown (the page's name in its address, and the words of a
    link to it), and lower `selection_folds` (how many folds its settings are compared on) where fitting is slow.
    `needs_attacks` says whether it learns from attacked images; without any, others are fitted with their defaults.
    `score` is **higher = more likely adversarial**, always.

    Parameters
    ----------
    **settings
        Values of the declared parameters; defaults where left out.

    Raises
    ------
    InputError
        If a parameter is unknown or out of range.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    paper: ClassVar[str]
    summary: ClassVar[str]
    page: ClassVar[tuple[str, str]] = ("detectors", "Detectors")
    reads: ClassVar[tuple[str, ...]] = ()
    selection_folds: ClassVar[int] = FOLDS
    needs_attacks: ClassVar[bool] = True
    settings: Settings = Settings()

    def __init__(self, **settings: ParameterValue) -> None:
        self.settings = self.settings.read(settings, self.name)
        self._fitted = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.settings.values().items())})"

    @classmethod
    def alone(cls, classes: int) -> Detector | None:
        """Return one that knows no image, of a network of so many classes; None where it could not score anything.

        Its scores have no threshold: nothing says which are usual.
        """
        del classes
        return None

    @classmethod
    def lacks(cls, references: npt.NDArray[np.int64]) -> str | None:
        """Say in one sentence what reference images of these classes (n,) lack for this detector, or return None.

        A bundle leaves the detector out then, and says so; usually nothing is lacking beside what it `reads`.
        """
        del references
        return None

    @classmethod
    def candidates(cls, evidence: Evidence) -> list[Mapping[str, ParameterValue]]:
        """Return settings that a bundle's build compares on the fit split; only the defaults unless overridden."""
        del evidence
        return [{}]

    def fit(self, evidence: Evidence, labels: Labels) -> Detector:
        """Fit on natural and attacked images of the fit split.

        Raises
        ------
        InputError
            If lengths differ, there is no natural image, or no attacked one where the detector needs them.
        """
        for part in (labels.adversarial, labels.attacks, labels.groups):
            if len(part) != len(evidence):
                raise InputError(f"Expected {len(evidence)} labels, got {len(part)}.")
        if labels.adversarial.all() or (self.needs_attacks and not labels.adversarial.any()):
            kinds = "natural and adversarial" if self.needs_attacks else "natural"
            raise InputError(f"{self.name} needs {kinds} images to fit.")
        self._fit(evidence, labels)
        self._fitted = True
        return self

    def companions(self, evidence: Evidence, labels: Labels) -> dict[str, Detector]:
        """Fit what is shown beside this fitted detector, by the name under which a bundle keeps it; usually nothing."""
        del evidence, labels
        return {}

    def score(self, evidence: Evidence) -> npt.NDArray[np.float64]:
        """Score images; higher = more likely adversarial.

        Returns
        -------
        array of float64, shape (n,)

        Raises
        ------
        NotFittedError
            Before `fit` or `restore`.
        InputError
            If what it reads makes anything but one score per image.
        """
        if not self._fitted:
            raise NotFittedError(f"{self.name} must be fitted before it can score.")
        if not len(evidence):  # a network that makes no errors leaves none to be scored
            return np.empty(0)
        scores = np.asarray(self._score(evidence), dtype=np.float64)
        if scores.shape != (len(evidence),):
            raise InputError(f"{self.name} must give {len(evidence)} images one score each, got shape {scores.shape}.")
        return scores

    def arrays(self) -> Arrays:
        """Return everything fitted, as float64 arrays that `restore` takes back."""
        if not self._fitted:
            raise NotFittedError(f"{self.name} must be fitted before it can be saved.")
        return self._arrays()

    def restore(self, arrays: Arrays) -> Detector:
        """Take back what `arrays` returned."""
        self._restore(arrays)
        self._fitted = True
        return self

    @abstractmethod
    def _fit(self, evidence: Evidence, labels: Labels) -> None: ...

    @abstractmethod
    def _score(self, evidence: Evidence) -> npt.NDArray[np.float64]: ...

    @abstractmethod
    def _arrays(self) -> Arrays: ...

    @abstractmethod
    def _restore(self, arrays: Arrays) -> None: ...


def macro_auc(scores: npt.NDArray[np.floating], labels: Labels) -> float:
    """Unweighted mean over attacks of the AUC against all natural images.

    Raises
    ------
    InputError
        If one of the two kinds is missing.
    """
    natural = ~labels.adversarial
    if natural.all() or not natural.any():
        raise InputError("Settings are compared on natural and adversarial images, but one of the two is missing.")
    usual = np.sort(scores[natural])
    per_attack = []
    for attack in labels.known_attacks:
        attacked = scores[labels.attacks == attack]
        # Mann-Whitney: the share of natural images that score lower, those that score the same counted half.
        places = np.searchsorted(usual, attacked, "left") + np.searchsorted(usual, attacked, "right")
        per_attack.append(places.mean() / (2 * len(usual)))
    return float(np.mean(per_attack))
