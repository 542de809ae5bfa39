"""Telltale: see, trace and catch adversarial images.

The names here are the notebook interface; each imports what it needs when called, so that ``import telltale`` is light
and never imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from telltale.analysis.opened import LoadedBundle
    from telltale.analysis.results import Analysis, Comparison
    from telltale.attacks.base import AttackResult, RandomTarget
    from telltale.base.parameters import ParameterValue
    from telltale.base.progress import Progress
    from telltale.building.inspecting.inspection import Inspection
    from telltale.bundle.bundle import Bundle
    from telltale.cli.server import Server
    from telltale.models.classifier import Classifier
    from telltale.models.factories import model_factory
    from telltale.models.preprocess import Preprocess
    from telltale.models.wrapping import wrap
    from telltale.scores.evaluation import Evaluation

from telltale.base.display import drawn_by

__all__ = [
    "Preprocess",
    "analyse",
    "app",
    "attack",
    "build",
    "compare",
    "evaluate",
    "inspect",
    "load_bundle",
    "model_factory",
    "wrap",
]

_FROM_MODELS = {
    "Preprocess": "telltale.models.preprocess",
    "model_factory": "telltale.models.factories",
    "wrap": "telltale.models.wrapping",
}


def _notebook() -> None:
    import telltale.figures.notebook  # noqa: F401


drawn_by(_notebook)


def __getattr__(name: str) -> object:
    """Import what concerns networks when it is first asked for."""
    if name not in _FROM_MODELS:
        raise AttributeError(f"module 'telltale' has no attribute '{name}'")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(_FROM_MODELS[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def inspect(
    name: str,
    classifier: Classifier,
    data: str | Path | None = None,
    *,
    images: int = 200,
    cost: bool = True,
    trained_on: bool | None = None,
    progress: Progress | None = None,
) -> Inspection:
    """Look at a classifier of your own before a bundle is built around it.

    What ``telltale inspect`` prints: accuracy with the stated preprocessing beside accuracy with the usual mistakes,
    which output every class of the data is, layers, head, gradients, what the guided pass guides, and what a build will
    take. Printed, it says what it found; `Inspection.to_json` has it all, `Inspection.warnings` what to look at first.

    Parameters
    ----------
    name : str
        Of the bundle that it may become.
    classifier : Classifier
        As `wrap` makes it.
    data : str or Path, optional
        Labelled images of any size; a folder or data set as `telltale.data.sources` reads it. Without any, neither the
        preprocessing nor the order of the classes' names can be checked.
    images : int
        How many to read, every class in turn.
    cost : bool
        Whether a build's parts are measured on ten images, which takes most of the time.
    trained_on : bool, optional
        Whether the network has learned from these images; see `build`.
    progress : callable, optional
        Told the fraction done and what is being done.

    Raises
    ------
    InputError
        If the classifier cannot work with these images.

    Examples
    --------
    >>> import telltale
    >>> from telltale.analysis.kept import load
    >>> found = telltale.inspect("mine", load("digits").classifier, "digits", images=50, cost=False)
    >>> found.accuracies[0].words, found.accuracies[0].accuracy > 0.9, found.rectifiers > 0
    ('as stated', True, True)
    >>> print(found)  # doctest: +ELLIPSIS
    mine: 50 pictures of digits
      preprocessing ...
    """
    from telltale.base.progress import silent
    from telltale.building.inspecting.wrapped import inspect_wrapped

    source = None if data is None else str(data)
    tell = progress or silent
    return inspect_wrapped(name, classifier, source, images=images, cost=cost, trained_on=trained_on, progress=tell)


def build(
    name: str,
    classifier: Classifier,
    data: str | Path | None = None,
    *,
    trained_on: bool | None = None,
    minutes: float | None = None,
    out: Path | None = None,
    attacks: Sequence[str] = (),
    detectors: Sequence[str] = (),
    progress: Progress | None = None,
) -> Bundle:
    """Build a bundle around a classifier of your own, and open it.

    Everything that can be had is: a kind of evidence that lacks what it needs says so, and detectors that read it are
    left out. A build that was stopped goes on where it stood.

    Parameters
    ----------
    name : str
        Of the bundle: lower-case letters, digits, ``-`` and ``_``.
    classifier : Classifier
        As `wrap` makes it, around a network that a registered factory has made (`model_factory`): other processes must
        make it again, and find the factory in what ``TELLTALE_MODELS`` names.
    data : str or Path, optional
        Labelled images; a folder or data set as `telltale.data.sources` reads it. They may have any size where the
        classifier's preprocessing resizes or crops: they are brought to its size one by one, into a mapped file.
        Without any, the bundle is there at once: uploaded images are read, attacked and scored without p-values, and
        everything that compares with other images says what would bring it.
    trained_on : bool, optional
        Whether the network has learned from the images that become references (of data without splits of their own,
        from all of them). Only True brings influence and training images that are probably mislabelled.
    minutes : float, optional
        Cut the numbers of images, and at last the attacks, so that reading them, as it was timed, and observing and
        attacking them, as measured on ten, fit; fitting, maps and scores come on top. One sentence says what was cut,
        as a logged warning and in the bundle's notes.
    out : Path, optional
        Folder of the bundle, which ends in its name; the person's folder for bundles where left out.
    attacks, detectors : sequence of str
        Names; FGSM, PGD and DeepFool, and every detector, where left out.
    progress : callable, optional
        Told the fraction done and what is being done.

    Raises
    ------
    InputError
        If no process can make the classifier again, the data set is not for it, a name is not known, or the minutes
        are too few.

    Examples
    --------
    The classifier here is the shipped one; `docs/own-model.md` goes all the way from a network of your own.

    >>> import tempfile
    >>> from pathlib import Path
    >>> import telltale
    >>> from telltale.analysis.kept import load
    >>> classifier = load("digits").classifier
    >>> folder = Path(tempfile.mkdtemp()) / "mine"
    >>> telltale.build("mine", classifier, "digits", out=folder, attacks=["fgsm"], detectors=["knn_score"]).image_shape
    (1, 32, 32)
    """
    from telltale.base.places import data_home
    from telltale.base.progress import silent
    from telltale.building.alone import build_alone
    from telltale.building.build import build_around
    from telltale.recipes import own_plan

    folder = out or data_home() / "precomputed" / name
    plan = own_plan(name, "" if data is None else str(data), attacks, detectors, trained_on=trained_on)
    if data is None:
        return load_bundle(build_alone(classifier, plan, folder, progress or silent))
    return load_bundle(build_around(classifier, plan, folder, progress or silent, minutes=minutes))


def load_bundle(name: str | Path) -> Bundle:
    """Return a bundle by name or folder; see `telltale.bundle.load_bundle`.

    Examples
    --------
    >>> import telltale
    >>> bundle = telltale.load_bundle("digits")
    >>> bundle.image_shape, len(bundle.class_names)
    ((1, 32, 32), 10)
    """
    from telltale.bundle import load_bundle as load

    return load(name)


def attack(
    image: npt.NDArray[np.float32],
    *,
    bundle: str | Classifier = "digits",
    attack: str,
    parameters: Mapping[str, object] | None = None,
    seed: int = 0,
    target: int | RandomTarget | None = None,
) -> AttackResult:
    """Attack one image.

    Parameters
    ----------
    image : array of float32, shape (C, H, W), in [0, 1]
    bundle : str or Classifier
        Name or folder; or a network alone, as `wrap` returns it.
    attack : str
        Registry name.
    parameters : mapping, optional
        Values other than those behind the bundle's stored scores; other than the attack's defaults without one.
    seed : int
    target : int or "random", optional
        Class to reach, or any other than the image's own.

    Raises
    ------
    InputError
        If an argument is not accepted.

    Examples
    --------
    >>> import telltale
    >>> bundle = telltale.load_bundle("digits")
    >>> image = bundle.image_set.images(bundle.splits.test[:1])[0]
    >>> attacked = telltale.attack(image, attack="pgd", parameters={"eps": 0.1})
    >>> bool(attacked.success[0]), bool(attacked.linf[0] <= 0.1)
    (True, True)
    """
    from telltale.analysis.analyse import attack_image

    return attack_image(_opened(bundle), image, attack, parameters, seed, target)


def analyse(image: npt.NDArray[np.float32], *, bundle: str | Classifier = "digits", alpha: float = 0.05) -> Analysis:
    """Run one image (C, H, W) through trace, evidence, detectors and calibration at false-positive rate `alpha`.

    In the place of a bundle a network alone may stand, as `wrap` returns it: what needs other images is then missing,
    with what would bring it, and scores have no p-values.

    Raises
    ------
    InputError
        If an argument is not accepted.

    Examples
    --------
    >>> import telltale
    >>> bundle = telltale.load_bundle("digits")
    >>> image = bundle.image_set.images(bundle.splits.test[:1])[0]
    >>> result = telltale.analyse(telltale.attack(image, attack="pgd", parameters={"eps": 0.1}).images[0])
    >>> result.fused.kind
    'adversarial'
    >>> list(result.evidence)
    ['response', 'squeezing', 'stability', 'trajectory', 'neighbours', 'influence', 'density', 'twin']
    """
    from telltale.analysis.analyse import analyse_image

    return analyse_image(_opened(bundle), image, alpha)


def compare(natural: Analysis, attacked: Analysis) -> Comparison:
    """Put an analysed image beside its attacked version, to draw and display both together.

    Raises
    ------
    InputError
        If two bundles, or two false-positive rates, are behind them.

    Examples
    --------
    >>> import telltale
    >>> bundle = telltale.load_bundle("digits")
    >>> image = bundle.image_set.images(bundle.splits.test[:1])[0]
    >>> attacked = telltale.attack(image, attack="pgd", parameters={"eps": 0.1}).images[0]
    >>> both = telltale.compare(telltale.analyse(image), telltale.analyse(attacked))
    >>> both.natural.prediction.name == both.attacked.prediction.name
    False
    """
    from telltale.analysis.results import Comparison

    return Comparison(natural, attacked)


def evaluate(
    bundle: str = "digits",
    *,
    fresh: bool = False,
    attack: str | None = None,
    parameters: Mapping[str, ParameterValue] | None = None,
    images: int = 500,
    seen: Sequence[str] = (),
    progress: Progress | None = None,
) -> Evaluation:
    """Evaluate a bundle's detectors on its test split.

    Parameters
    ----------
    bundle : str
        Name or folder.
    fresh : bool
        Attack and score the test images again, in as many processes as there are cores, instead of reading the
        stored scores.
    attack : str, optional
        Only this attack, run now with `parameters` on that many `images`; needs `fresh`.
    seen : sequence of str
        Fit the detectors anew to these attacks alone, and judge them by all: how well are others noticed? Takes
        minutes, in as many processes as there are cores.
    progress : callable, optional
        Told the fraction done and what is being done.

    Raises
    ------
    InputError
        If an argument is not accepted.

    Examples
    --------
    >>> import telltale
    >>> found = telltale.evaluate("digits")
    >>> max(found.macro_auc.values()) > 0.9
    True
    """
    from telltale.base.errors import InputError
    from telltale.recipes import AttackPlan
    from telltale.scores.evaluation import evaluate_stored

    if seen and (fresh or attack is not None):
        raise InputError("Detectors fitted to some attacks are judged by all of the bundle's: leave the rest out.")
    if not fresh and not seen:
        if attack is not None:
            raise InputError("One attack with its own parameters can only be evaluated afresh.")
        stored = load_bundle(bundle)
        stored.require_held_out()
        return evaluate_stored(stored)
    from telltale.base.progress import silent
    from telltale.building.fresh import evaluate_fresh, evaluate_unseen

    opened = _opened(bundle)
    tell = progress or silent
    if seen:
        return evaluate_unseen(opened, seen, tell)
    if attack is None:
        return evaluate_fresh(opened, tell)
    values = opened.bundle.attack_parameters(attack) | dict(parameters or {})
    return evaluate_fresh(opened, tell, [AttackPlan(attack, 0, images, values)])


def app(
    bundle: str | Path | Bundle | None = None, *, port: int = 8501, host: str = "127.0.0.1", browser: bool = True
) -> Server:
    """Serve the pages from a process of their own, and open them in the browser once they are there.

    Parameters
    ----------
    bundle : str, Path or Bundle, optional
        The bundle that is shown first, itself or by its name or folder; the default one where left out.
    port : int
    host : str
        Address to listen at. The default is this machine alone; ``"0.0.0.0"`` lets others on the network in.
    browser : bool
        Whether a browser is opened.

    Returns
    -------
    Server
        With its `address`; `stop` ends it. It ends with this process at the latest.

    Raises
    ------
    InputError
        If there is no such bundle, it is damaged, the pages are not installed, or the address cannot be used.
    """
    from telltale.bundle.bundle import Bundle
    from telltale.cli.server import serve

    shown = bundle.folder if isinstance(bundle, Bundle) else bundle
    return serve(shown, port=port, host=host, browser=browser)


def _opened(bundle: str | Classifier) -> LoadedBundle:
    """Return a bundle by name or folder, or a network alone as one."""
    if isinstance(bundle, str):
        from telltale.analysis.kept import load

        return load(bundle)
    from telltale.analysis.alone import opened_alone

    return opened_alone(bundle)
