"""What is compared, and how much is done for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from telltale.base.errors import InputError

LEVELS = 255
CONFIDENCE, TWIN, HARDENED, BOTH = "confidence", "twin", "hardened", "both"
ZERO_KNOWLEDGE = ("fgsm", "pgd")
TARGETED = "adaptive_targeted"
ADAPTIVE_ATTACKS: Mapping[str, Mapping[str, object]] = {
    "adaptive": {},
    "adaptive_orthogonal": {"aims": "orthogonal"},
    TARGETED: {},
}


@dataclass(frozen=True)
class Plan:
    """How much is done.

    Attributes
    ----------
    train_eps : sequence of int
        Budgets of the hardening, in levels of 255; each gives a hardened twin.
    epochs : int
    learning_rate : float
        Peak.
    training_images : int
        The first of the training split; all where there are fewer.
    eps : sequence of int
        Budgets of the attacks, in levels of 255.
    images : int
        How many correctly read test images are attacked.
    natural : int
        How many test images are drawn for natural accuracy and alarms; those attacked are among them.
    steps : int
        Of every attack that has steps.
    seed : int

    Raises
    ------
    InputError
        If a value is not accepted.
    """

    train_eps: Sequence[int] = (4, 8)
    epochs: int = 5
    learning_rate: float = 0.1
    training_images: int = 45_000
    eps: Sequence[int] = (2, 4, 8)
    images: int = 200
    natural: int = 1000
    steps: int = 40
    seed: int = 0

    def __post_init__(self) -> None:
        for budgets in (self.train_eps, self.eps):
            if not budgets or not all(1 <= eps <= LEVELS for eps in budgets) or len(set(budgets)) != len(budgets):
                raise InputError(f"Budgets are different whole numbers of levels in [1, {LEVELS}]; got {budgets}.")
        for name in ("epochs", "learning_rate", "training_images", "images", "natural", "steps"):
            if getattr(self, name) <= 0:
                raise InputError(f"'{name}' must be above 0; got {getattr(self, name)}.")

    @property
    def defences(self) -> tuple[str, ...]:
        """Names of what is compared: a free control, the twin, every hardened twin, and each beside the twin."""
        hardened = (f"{kind}_{eps}" for eps in self.train_eps for kind in (HARDENED, BOTH))
        return (CONFIDENCE, TWIN, *hardened)


def defence_title(name: str) -> str:
    """Return the name shown to people."""
    kind, _, eps = name.partition("_")
    words = {CONFIDENCE: "Confidence (free)", TWIN: "Twin", HARDENED: "Hardened twin", BOTH: "Both twins"}[kind]
    return words + (f", {eps}/{LEVELS}" if eps else "")
