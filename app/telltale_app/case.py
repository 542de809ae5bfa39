"""The case: one image, what is done to it and how strictly it is judged, as one value that fits into a link."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import zip_longest
from typing import TYPE_CHECKING

from telltale.attacks.base import RANDOM, RandomTarget
from telltale.base.errors import InputError
from telltale.base.parameters import Parameter, ParameterValue, validate_parameters
from telltale.cases.picture_store import GonePictureError
from telltale.data.photographs import photographs
from telltale.scores.opening import opening
from telltale.scores.table import natural_test_ids
from telltale_app import catalogue
from telltale_app.link_images import cut_from, read_image

if TYPE_CHECKING:
    from telltale.bundle import Bundle

KEYS = ("bundle", "image", "attack", "alpha")
NO_ATTACK = "none"
SEPARATOR = "~"
DEFAULT_ALPHA = 0.05
MOST_PIXELS_TO_OPEN = 64  # on a side

_ALPHA = Parameter("alpha", "float", DEFAULT_ALPHA, low=0.01, high=0.25, help="False-positive rate on natural images.")
_SEED = Parameter("seed", "int", 0, low=0, high=2**31 - 1, help="Seeds every random choice of the attack.")


@dataclass(frozen=True)
class Case:
    """What a link carries.

    Attributes
    ----------
    bundle : str
    image : str
        ``"test-12"`` (split and id of a data-set image), ``"png-…"`` (the model's input as base64url PNG),
        ``"sha256-…"`` (the digest of an input that the server keeps, as it is too large for a link),
        ``"chelsea-png-…"`` or ``"chelsea-sha256-…"`` (the same, taken from a photograph of that name), or ``""`` where
        there is no image.
    attack : str or None
        Registry name; None leaves the image natural.
    parameters : tuple of (name, value)
        Every parameter of the attack.
    target : int, "random" or None
        Class to reach in a targeted attack; "random" draws another one from the seed.
    seed : int
    alpha : float
        False-positive rate at which the detectors judge.
    """

    bundle: str
    image: str
    attack: str | None = None
    parameters: tuple[tuple[str, ParameterValue], ...] = ()
    target: int | RandomTarget | None = None
    seed: int = 0
    alpha: float = DEFAULT_ALPHA

    def to_query(self) -> dict[str, str]:
        """Return the query parameters of a link to this case: always the same keys, so that one write replaces all.

        The attack is one value, such as ``pgd~eps~0.1~seed~0``, made of characters that links keep as they are.
        """
        return {
            "bundle": self.bundle,
            "image": self.image,
            "attack": self._attack_text(),
            "alpha": f"{self.alpha:g}",
        }

    def _attack_text(self) -> str:
        if self.attack is None:
            return NO_ATTACK
        settings: dict[str, ParameterValue] = {**dict(self.parameters), "seed": self.seed}
        if self.target is not None:
            settings["target"] = self.target
        pairs = [text for name, value in settings.items() for text in (name, _text(value))]
        return SEPARATOR.join([self.attack, *pairs])


def sample_case(bundle: Bundle) -> Case:
    """Return the case shown where a link names no image: a natural test image that the model reads correctly.

    Where the model's images are not on this machine, a photograph takes its place.
    """
    if bundle.image_set is None:
        return Case(bundle.name, _first_photograph(bundle.image_shape))
    ids = natural_test_ids(bundle.scores)
    return Case(bundle.name, f"test-{ids[0] if len(ids) else bundle.splits.test[0]}")


def opening_case(bundle: Bundle) -> Case:
    """Return the case shown before anything is chosen: a finished example, attacked as behind the stored scores.

    Without a stored attack that succeeded, or on images so large that an attack keeps people waiting, it is
    `sample_case`, and natural.
    """
    sample = sample_case(bundle)
    found = opening(bundle.scores, catalogue.DEFAULT_ATTACK, bundle.class_names, bundle.story)
    if found is None or max(bundle.image_shape) > MOST_PIXELS_TO_OPEN:
        return sample
    image = sample.image if bundle.image_set is None else f"test-{found.image_id}"
    spec = catalogue.attacks()[found.attack]
    values = validate_parameters(spec.parameters, bundle.attack_parameters(found.attack), spec.title)
    return replace(sample, image=image, attack=found.attack, parameters=tuple(values.items()), seed=bundle.seed)


def from_query(query: Mapping[str, str]) -> tuple[Case, tuple[str, ...]]:
    """Read a case from a link; whatever is wrong with it falls back, each with one sentence.

    Parameters
    ----------
    query : mapping of str to str
        Never trusted: every value is checked here, and again by `core`.

    Returns
    -------
    case : Case
    warnings : tuple of str
    """
    warnings: list[str] = []
    default = catalogue.linked_bundle() if query.keys() & {"bundle", "image", "attack"} else catalogue.default_bundle()
    name = query.get("bundle", default)
    try:
        bundle = catalogue.bundle(name)
    except InputError as error:
        if name == default:
            raise
        bundle = catalogue.bundle(default)
        warnings.append(f"{error} “{bundle.manifest.title}” is shown in the place of the link's model.")
    if not query.keys() & {"image", "attack"}:
        alpha = float(_value_or_default(_ALPHA, query.get("alpha"), warnings))
        return replace(opening_case(bundle), alpha=alpha), tuple(warnings)
    sample = sample_case(bundle)
    image = _image_or_sample(query.get("image"), sample.image, bundle, warnings)
    alpha = float(_value_or_default(_ALPHA, query.get("alpha"), warnings))
    name, settings = _split_attack(query.get("attack", NO_ATTACK))
    seed, target = settings.pop("seed", None), settings.pop("target", None)
    attack, parameters = _attack_or_none(name, settings, bundle, warnings)
    if attack is None:
        return Case(bundle.name, image, alpha=alpha), tuple(warnings)
    aim = _target_or_none(attack, target, bundle, warnings)
    start = int(_value_or_default(_SEED, seed, warnings))
    return Case(bundle.name, image, attack, parameters, aim, start, alpha), tuple(warnings)


@lru_cache(maxsize=8)
def _first_photograph(shape: tuple[int, int, int]) -> str:
    first = next(iter(photographs()), None)
    return "" if first is None else cut_from(first, shape)


def _image_or_sample(reference: str | None, sample: str, bundle: Bundle, warnings: list[str]) -> str:
    if reference is None or reference == sample:
        return sample
    try:
        read_image(reference, bundle)
    except GonePictureError:
        return reference  # said where it would be shown, with a way to bring it back: the rest of the link still counts
    except InputError as error:
        warnings.append(f"{error} A sample image is shown instead.")
        return sample
    return reference


def _split_attack(text: str) -> tuple[str, dict[str, str]]:
    """Split ``name~key~value~…`` into its parts; a key without a value is given an empty one."""
    name, *rest = text.split(SEPARATOR)
    return name, dict(zip_longest(rest[::2], rest[1::2], fillvalue=""))


def _attack_or_none(
    name: str, given: Mapping[str, str], bundle: Bundle, warnings: list[str]
) -> tuple[str | None, tuple[tuple[str, ParameterValue], ...]]:
    if name == NO_ATTACK:
        return None, ()
    specs = catalogue.attacks()
    if name not in specs:
        warnings.append("The link names an attack that does not exist here. The image is shown without an attack.")
        return None, ()
    usual = bundle.attack_parameters(name)
    try:
        values = validate_parameters(specs[name].parameters, {**usual, **given}, specs[name].title)
    except InputError as error:
        warnings.append(f"{error} The usual settings of {specs[name].title} are used instead.")
        values = validate_parameters(specs[name].parameters, usual, specs[name].title)
    return name, tuple(values.items())


def _target_or_none(attack: str, text: str | None, bundle: Bundle, warnings: list[str]) -> int | RandomTarget | None:
    if text is None or not catalogue.attacks()[attack].targeted:
        return None
    if text == RANDOM:
        return RANDOM
    if not re.fullmatch(r"\d{1,6}", text) or int(text) >= len(bundle.class_names):
        warnings.append("The link's target class does not exist. The attack runs without a target.")
        return None
    return int(text)


def _value_or_default(parameter: Parameter, text: str | None, warnings: list[str]) -> ParameterValue:
    if text is None:
        return parameter.default
    try:
        return parameter.validate(text, "the link")
    except InputError as error:
        warnings.append(f"{error} The default, {parameter.default}, is used instead.")
        return parameter.default


def _text(value: ParameterValue) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value) if isinstance(value, float) else str(value)
