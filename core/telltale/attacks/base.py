"""What an attack is: a registry entry that describes it, and a result that can be checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from telltale.base.display import Displayed
from telltale.base.parameters import Parameter, ParameterValue
from telltale.base.settings import Settings

if TYPE_CHECKING:
    import torch

    from telltale.attacks.budget import MeteredClassifier
    from telltale.detectors.defence import Defence

Norm: TypeAlias = Literal["linf", "l2", "l1", "l0"]
IntArray: TypeAlias = npt.NDArray[np.int64]
RandomTarget: TypeAlias = Literal["random"]
Targets: TypeAlias = "IntArray | RandomTarget | None"

UNTARGETED = -1
RANDOM: RandomTarget = "random"


@dataclass(frozen=True)
class AttackSettings(Settings):
    """Base of every attack's settings; see `telltale.base.settings`."""


OfAttack = TypeVar("OfAttack", bound=AttackSettings)


@dataclass(frozen=True)
class AttackProblem:
    """What an attack is given.

    Attributes
    ----------
    classifier : MeteredClassifier
        Counts forward and backward passes per image, reports progress and raises `CancelledError` when cancelled.
    images : Tensor, float32, shape (n, C, H, W)
        Natural images in [0, 1].
    labels : Tensor, int64, shape (n,)
        The classifier's prediction for each natural image: the class to leave.
    targets : Tensor, int64, shape (n,), or None
        The class to reach in a targeted attack.
    seeds : tuple of int, length n
        Seeds every random choice about an image, so that it does not depend on the others.
    defence : Defence, optional
        The detectors around the classifier, for attacks that aim at them.
    """

    classifier: MeteredClassifier
    images: torch.Tensor
    labels: torch.Tensor
    targets: torch.Tensor | None
    seeds: tuple[int, ...]
    defence: Defence | None = None

    @property
    def known_defence(self) -> Defence:
        """The detectors around the classifier; `attack_images` sees to it that those who aim at them have some."""
        assert self.defence is not None
        return self.defence

    def distance(self, attempt: torch.Tensor) -> float:
        """Return the L2 norm of the change from the one image of the problem to `attempt` ([1,] C, H, W)."""
        return float((attempt - self.images).norm())


@dataclass(frozen=True)
class AttackSpec(Generic[OfAttack]):
    """Registry entry of an attack: everything the command line, the sliders and the documentation need.

    Attributes
    ----------
    name : str
        Registry name, as typed on the command line.
    title : str
        Name shown to people.
    norm : {"linf", "l2", "l1", "l0"}
        Norm that the attack bounds or minimises.
    paper : str
        Reference.
    summary : str
        One sentence that says what the attack does.
    settings : subclass of AttackSettings
        Declares the parameters.
    run : callable
        ``run(problem, settings) -> Tensor (n, C, H, W)``; may be imprecise about bounds, rounding and success,
        all of which belong to `telltale.attacks.attack_images`.
    targeted : bool
        Whether a target class can be given.
    needs_gradients : bool
        Whether it differentiates through the classifier.
    budget : str, optional
        Name of the parameter that bounds the perturbation in `norm`; the bound is enforced after rounding.
    random_target : bool
        Whether the attack needs a target and gets a random other class, drawn from the seed, where none is given.
    needs_detectors : bool
        Whether it aims at fitted detectors: `AttackProblem.defence` must be given.
    parameters_of : str, optional
        Attack whose stored parameters suit this one where a bundle has none of its own.
    batched : bool
        Whether `run` takes many images at once and treats each as if it were alone. Other attacks are given one
        image at a time, with torch's and NumPy's global generators seeded for it.
    fewest_classes : int
        How many classes the classifier must have.
    """

    name: str
    title: str
    norm: Norm
    paper: str
    summary: str
    settings: type[OfAttack]
    run: Callable[[AttackProblem, OfAttack], torch.Tensor]
    targeted: bool = False
    needs_gradients: bool = True
    budget: str | None = None
    random_target: bool = False
    batched: bool = False
    needs_detectors: bool = False
    parameters_of: str | None = None
    fewest_classes: int = 2

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The declared parameters, in order."""
        return self.settings.parameters()


AnyAttack: TypeAlias = AttackSpec[Any]


@dataclass(frozen=True)
class AttackResult(Displayed):
    """Attacked images on the 8-bit grid with what they cost; every figure is recomputed after rounding.

    Attributes
    ----------
    attack : str
        Registry name.
    parameters : mapping of str to value
        All parameters, defaults filled in.
    seed : int
    natural, images : array of float32, shape (n, C, H, W)
        The images before and after; where an attack failed, its best attempt (never a black image).
    labels, targets, predictions : array of int64, shape (n,)
        Class before, class aimed at (-1 where untargeted), class after.
    success : array of bool, shape (n,)
        Another label than before (untargeted) or the target's label (targeted), on the 8-bit image.
    linf, l2, l0 : array of float64, shape (n,)
        Norms of the 8-bit perturbation in [0, 1] pixel units; `l0` counts changed pixel positions.
    gradients, queries : array of int64, shape (n,)
        Backward and forward passes spent on each image. A look at detectors counts as one, however many passes these
        take themselves.
    seconds : float
        Wall time of the whole batch.
    """

    attack: str
    parameters: Mapping[str, ParameterValue]
    seed: int
    natural: npt.NDArray[np.float32]
    images: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    targets: npt.NDArray[np.int64]
    predictions: npt.NDArray[np.int64]
    success: npt.NDArray[np.bool_]
    linf: npt.NDArray[np.float64]
    l2: npt.NDArray[np.float64]
    l0: npt.NDArray[np.float64]
    gradients: npt.NDArray[np.int64]
    queries: npt.NDArray[np.int64]
    seconds: float

    @property
    def fooled(self) -> npt.NDArray[np.bool_]:
        """Which images are adversarial to a detector: another label than before, whether or not it was aimed at."""
        return np.asarray((self.predictions != self.labels) & (self.l0 > 0))

    @property
    def success_rate(self) -> float:
        """Share of the images that succeeded."""
        return float(self.success.mean()) if self.success.size else float("nan")
