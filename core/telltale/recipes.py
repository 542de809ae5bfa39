"""Recipes: the declared choices behind every bundle that can be trained and built by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from telltale.base.errors import InputError
from telltale.base.parameters import ParameterValue
from telltale.data.splits import SplitSizes


@dataclass(frozen=True)
class AttackPlan:
    """How one attack is run for a bundle.

    Attributes
    ----------
    name : str
    fit, test : int
        Images attacked in each split; slow attacks take fewer.
    parameters : dict of str to value
        Other than the attack's defaults.
    random_target : bool
        Whether the attack aims at a random other class of each image.
    """

    name: str
    fit: int
    test: int
    parameters: dict[str, ParameterValue] = field(default_factory=dict)
    random_target: bool = False


@dataclass(frozen=True)
class Story:
    """Which attacked image a person sees first.

    Attributes
    ----------
    label : str
        Class of the image.
    read_as : str
        How the name begins of the class that it is read as after the attack.
    """

    label: str
    read_as: str


@dataclass(frozen=True, kw_only=True)
class BundlePlan:
    """Everything that is chosen, not computed, about a bundle around a classifier that is there already.

    Attributes
    ----------
    name, title, source : str
        Folder name, name shown to people, data set.
    sizes : SplitSizes
    attacks : tuple of AttackPlan
    macro_attacks : tuple of str
        Attacks over which settings are compared and the macro-AUC is reported.
    detectors : tuple of str
        Those that are fitted, by name; all that find their evidence where empty.
    own : bool
        Whether the classifier is somebody's own.
    trained_on : bool or None
        Whether the classifier has learned from the images that become references, or, of data without splits of their
        own, from all; None where nobody says.
    drawn : bool
        Whether the images were drawn, so that nobody takes them for photographs.
    story : Story, optional
        Left out, the first image is the most usual one that the first attack fools.
    seed : int
    """

    name: str
    title: str
    source: str
    sizes: SplitSizes
    attacks: tuple[AttackPlan, ...]
    macro_attacks: tuple[str, ...]
    detectors: tuple[str, ...] = ()
    own: bool = False
    trained_on: bool | None = True
    drawn: bool = False
    story: Story | None = None
    seed: int = 0


@dataclass(frozen=True)
class Twin:
    """How the second network beside a recipe's classifier differs from it; it also draws from the next seed.

    Attributes
    ----------
    base_width, depth, epochs : int
    """

    base_width: int
    depth: int
    epochs: int


@dataclass(frozen=True, kw_only=True)
class Recipe(BundlePlan):
    """A bundle's plan, and how its classifier is trained.

    Attributes
    ----------
    base_width, depth : int
        Of the network.
    epochs : int
    learning_rate, weight_decay : float
    batch_size : int
    mixed_precision : bool
        Train in bfloat16 on every core or on CUDA: faster, and not to the last bit the same on every machine.
    shift : int
        Largest random shift of a training image, in pixels.
    flip : bool
        Whether training images are mirrored at random.
    network : {"small_resnet", "early_resnet"}
    alternate : bool
        Mirror an image in every second epoch instead of at random (Jordan 2024), so that both sides come equally often.
    cutout : int
        Side in pixels of the square that is greyed at random in every training image (DeVries & Taylor 2017).
    noise : float
        Largest standard deviation, in grey levels of 255, of the normal noise that half of the training images get.
    label_smoothing : float
        Share of the target that goes to all classes alike (Szegedy et al. 2016), in [0, 1).
    half_precision : bool
        Round the trained weights to half precision, so that their file is half as large.
    twin : Twin, optional
        A second network that is trained with the classifier, for its doubt.
    """

    base_width: int
    depth: int
    epochs: int
    learning_rate: float = 0.05
    weight_decay: float = 5e-4
    batch_size: int = 64
    mixed_precision: bool = False
    shift: int = 0
    flip: bool = False
    network: str = "small_resnet"
    alternate: bool = False
    cutout: int = 0
    noise: float = 0.0
    label_smoothing: float = 0.0
    half_precision: bool = False
    twin: Twin | None = None

    def of_twin(self) -> Recipe | None:
        """Return the recipe of the second network."""
        if self.twin is None:
            return None
        return replace(self, **vars(self.twin), seed=self.seed + 1, twin=None)


FAST = ("fgsm", "bim", "pgd", "pgd_l2", "mifgsm", "deepfool", "gradient")

DIGITS = Recipe(
    name="digits",
    title="Handwritten digits",
    source="digits",
    sizes=SplitSizes(fit=200, calibration=350, test=350),
    base_width=16,
    depth=2,
    epochs=30,
    attacks=(
        *(AttackPlan(name, fit=200, test=350) for name in FAST),
        AttackPlan("cw", fit=100, test=150),
        *(AttackPlan(name, fit=50, test=100) for name in ("jsma", "ead", "boundary", "lbfgs")),
        AttackPlan("onepixel", fit=50, test=50),
    ),
    macro_attacks=("fgsm", "bim", "pgd", "mifgsm", "deepfool", "cw"),
)

# Photographs are fooled by changes that nobody sees: 8 of 255 levels is the usual budget for colour images this small.
EPS, STEP = 8 / 255, 2 / 255
PHOTOGRAPH_ATTACKS = (
    AttackPlan("fgsm", 400, 500, {"eps": EPS}),
    AttackPlan("bim", 400, 500, {"eps": EPS, "step": STEP, "steps": 10}),
    AttackPlan("pgd", 400, 500, {"eps": EPS, "step": STEP, "steps": 10}),
    AttackPlan("pgd_l2", 400, 500, {"eps": 0.5, "step": 0.1, "steps": 10}),
    AttackPlan("mifgsm", 400, 500, {"eps": EPS, "step": STEP, "steps": 10}),
    AttackPlan("deepfool", 400, 500),
    AttackPlan("gradient", 200, 300),
    AttackPlan("cw", 200, 300),
    AttackPlan("jsma", 40, 60),
    AttackPlan("ead", 40, 60),
    AttackPlan("boundary", 20, 40, {"steps": 300}),
    AttackPlan("lbfgs", 20, 40, {"steps": 20, "binary_search_steps": 3}),
    AttackPlan("onepixel", 20, 40, {"steps": 30, "popsize": 50}),
)

# Of 50,000 images, so many are kept from training that a threshold at 5 % rests on 150 natural images beyond it.
CIFAR10 = Recipe(
    name="cifar10",
    title="CIFAR-10 photographs",
    source="cifar10",
    sizes=SplitSizes(fit=2000, calibration=3000, test=10_000),
    network="early_resnet",
    base_width=80,
    depth=2,
    epochs=56,
    attacks=PHOTOGRAPH_ATTACKS,
    macro_attacks=DIGITS.macro_attacks,
    learning_rate=0.4,
    batch_size=512,
    mixed_precision=True,
    shift=4,
    flip=True,
    alternate=True,
    cutout=12,
    noise=8.0,
    label_smoothing=0.1,
    half_precision=True,
    twin=Twin(base_width=24, depth=1, epochs=20),
)

# A sign that is mirrored is another sign or none, so nothing is flipped.
SIGNS = Recipe(
    name="signs",
    title="Road signs, drawn",
    source="signs",
    sizes=SplitSizes(fit=800, calibration=1200, test=2000),
    network="early_resnet",
    base_width=32,
    depth=1,
    epochs=16,
    attacks=PHOTOGRAPH_ATTACKS,
    macro_attacks=DIGITS.macro_attacks,
    learning_rate=0.2,
    batch_size=128,
    mixed_precision=True,
    shift=3,
    cutout=12,
    noise=8.0,
    label_smoothing=0.1,
    half_precision=True,
    drawn=True,
    story=Story("stop", "speed limit"),
    twin=Twin(base_width=16, depth=1, epochs=10),
)

FASHION_MNIST = Recipe(
    name="fashion_mnist",
    title="Fashion-MNIST clothes",
    source="fashion_mnist",
    sizes=SplitSizes(fit=400, calibration=600, test=10_000),
    base_width=32,
    depth=2,
    epochs=20,
    attacks=DIGITS.attacks,
    macro_attacks=DIGITS.macro_attacks,
    learning_rate=0.2,
    batch_size=128,
    mixed_precision=True,
    shift=2,
    flip=True,
)

MNIST = replace(FASHION_MNIST, name="mnist", title="MNIST digits", source="mnist", base_width=16, epochs=6, flip=False)

SVHN = replace(
    FASHION_MNIST,
    name="svhn",
    title="Street View house numbers",
    source="svhn",
    epochs=16,
    flip=False,
    attacks=PHOTOGRAPH_ATTACKS,
)

CIFAR100 = replace(CIFAR10, name="cifar100", title="CIFAR-100 photographs", source="cifar100")

RECIPES = {recipe.name: recipe for recipe in (DIGITS, SIGNS, CIFAR10, CIFAR100, MNIST, FASHION_MNIST, SVHN)}


# What a classifier of somebody's own is built with unless they say otherwise.
OWN_SIZES = SplitSizes(fit=400, calibration=600, test=1000)
OWN_SHARES = (0.2, 0.25, 0.2)  # of all images: fit, calibration and test, where that is less
OWN_ATTACKS = tuple(plan for plan in PHOTOGRAPH_ATTACKS if plan.name in ("fgsm", "pgd", "deepfool"))


def spared_sizes(most: SplitSizes, images: int) -> SplitSizes:
    """Return held-out splits of at most these sizes and at most `OWN_SHARES` of all images, so that few are spread.

    Raises
    ------
    InputError
        If a split would become empty.
    """
    wanted = (most.fit, most.calibration, most.test)
    sizes = [min(size, int(share * images)) for size, share in zip(wanted, OWN_SHARES, strict=True)]
    if any(size == 0 < asked for size, asked in zip(sizes, wanted, strict=True)):
        raise InputError(f"{images} images are too few to learn from some of them and to test on others.")
    return SplitSizes(*sizes)


def own_sizes(most: SplitSizes, images: int, own_test: int = 0, own_validation: int = 0) -> SplitSizes:
    """Return what a build around somebody's own images holds out; few without splits of their own are spread.

    Raises
    ------
    InputError
        If a split would become empty.
    """
    sizes = most if own_test or own_validation else spared_sizes(most, images)
    return sizes.within(images, own_test, own_validation)


def check_trained_on(value: object) -> None:
    """Refuse what says neither yes, no nor nothing of what a network has learned from.

    Raises
    ------
    InputError
        If it is anything but True, False or None.
    """
    if not isinstance(value, bool | None):
        raise InputError(f"trained_on must be True, False or None (not known). Got {value!r} instead.")


def own_plan(
    name: str,
    source: str,
    attacks: Sequence[str] = (),
    detectors: Sequence[str] = (),
    title: str | None = None,
    trained_on: bool | None = None,
) -> BundlePlan:
    """Return the plan of a bundle around somebody's own classifier.

    Parameters
    ----------
    name, source : str
        Of the bundle and of its images.
    attacks : sequence of str
        Names; FGSM, PGD and DeepFool where empty, at the budgets that are usual for photographs.
    detectors : sequence of str
        Names; all that find their evidence where empty.
    title : str, optional
        Name shown to people; the bundle's own where left out.
    trained_on : bool, optional
        Whether the classifier has learned from these images; see `BundlePlan`.

    Raises
    ------
    InputError
        If no plan is known for an attack, or `trained_on` is something else.
    """
    check_trained_on(trained_on)
    known = {plan.name: plan for plan in PHOTOGRAPH_ATTACKS}
    for attack in attacks:
        if attack not in known:
            raise InputError(f"A bundle is not built with the attack '{attack}'; it can be with {', '.join(known)}.")
    plans = tuple(known[attack] for attack in attacks) or OWN_ATTACKS
    return BundlePlan(
        name=name,
        title=title or name,
        source=source,
        sizes=OWN_SIZES,
        attacks=plans,
        macro_attacks=tuple(plan.name for plan in plans),
        detectors=tuple(detectors),
        own=True,
        trained_on=trained_on,
    )


def get_recipe(name: str) -> Recipe:
    """Return a recipe by name.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    if name not in RECIPES:
        raise InputError(
            f"There is no recipe '{name}'; there are {', '.join(RECIPES)}. For a network of your own, telltale inspect "
            f"writes {name}.toml first."
        )
    return RECIPES[name]
