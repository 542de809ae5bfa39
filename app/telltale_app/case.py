"""The case: one image, what is done to it and how strictly it is judged, as one value that fits into a link."""

from __future__ import annotations

import base64
import binascii
import io
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import zip_longest
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, UnidentifiedImageError

from telltale.attacks.base import RANDOM, RandomTarget
from telltale.base.errors import InputError
from telltale.base.images import FloatImages, image_sha256, to_floats
from telltale.base.parameters import Parameter, ParameterValue, validate_parameters
from telltale.data.photographs import Photograph, find_photograph, photograph_for, photographs
from telltale.scores.table import natural_test_ids
from telltale_app import catalogue, kept_images, pictures

if TYPE_CHECKING:
    from telltale.bundle import Bundle

KEYS = ("bundle", "image", "attack", "alpha")
NO_ATTACK = "none"
SEPARATOR = "~"
DEFAULT_ALPHA = 0.05
LONGEST_LINK_IMAGE = 12_000

_ALPHA = Parameter("alpha", "float", DEFAULT_ALPHA, low=0.01, high=0.25, help="False-positive rate on natural images.")
_SEED = Parameter("seed", "int", 0, low=0, high=2**31 - 1, help="Seeds every random choice of the attack.")
_SET_IMAGE = re.compile(r"(train|fit|calibration|test)-(\d{1,9})")
_CARRIED_IMAGE = re.compile(r"(?:([a-z]{1,20})-)?png-([A-Za-z0-9_-]{20,})")
_KEPT_IMAGE = re.compile(r"(?:([a-z]{1,20})-)?kept-([0-9a-f]{64})")


@dataclass(frozen=True)
class Case:
    """What a link carries.

    Attributes
    ----------
    bundle : str
    image : str
        ``"test-12"`` (split and id of a data-set image), ``"png-…"`` (the model's input as base64url PNG),
        ``"chelsea-png-…"`` (the same, taken from a photograph of that name), ``"kept-…"`` and ``"chelsea-kept-…"`` (the
        SHA-256 of one that is too large for a link and that this server keeps), or ``""`` where there is no image.
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
    """Return the case shown before anything is chosen: a natural test image that the model reads correctly.

    Where the model's images are not on this machine, a photograph takes its place.
    """
    if bundle.image_set is None:
        return Case(bundle.name, _first_photograph(bundle.image_shape))
    ids = natural_test_ids(bundle.scores)
    return Case(bundle.name, f"test-{ids[0] if len(ids) else bundle.splits.test[0]}")


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
    default = catalogue.default_bundle()
    name = query.get("bundle", default)
    try:
        bundle = catalogue.bundle(name)
    except InputError as error:
        if name == default:
            raise
        warnings.append(f"{error} The link's model was replaced by the default one.")
        bundle = catalogue.bundle(default)
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
    return "" if first is None else carry(photograph_for(first, shape), first.name)


def carry(image: FloatImages, photograph: str = "") -> str:
    """Return the reference that carries one image in the link itself, or names it where it is too large for that.

    What is too large stays in this server's memory for a while: its link opens nowhere else.

    Parameters
    ----------
    image : array of float32, shape (C, H, W)
    photograph : str
        Name of the photograph that it was cut from, if it was.
    """
    text = base64.urlsafe_b64encode(pictures.png(image)).decode().rstrip("=")
    reference = f"png-{text}" if len(text) <= LONGEST_LINK_IMAGE else f"kept-{kept_images.keep(image)}"
    return f"{photograph}-{reference}" if photograph else reference


def always_carried(shape: tuple[int, int, int]) -> bool:
    """Return whether every image of a shape (C, H, W) fits into a link, however busy it is."""
    return 2 * math.prod(shape) < LONGEST_LINK_IMAGE


def read_image(reference: str, bundle: Bundle) -> FloatImages:
    """Return the image, shape (C, H, W), that a reference names or carries.

    Raises
    ------
    InputError
        If the reference is malformed, its image is not in the bundle's data, or has another shape.
    """
    if match := _SET_IMAGE.fullmatch(reference):
        return _read_from_set(match[1], int(match[2]), bundle)
    if match := _CARRIED_IMAGE.fullmatch(reference):
        return _read_carried(match[2], bundle.image_shape)
    if match := _KEPT_IMAGE.fullmatch(reference):
        return _read_kept(match[2], match[1], bundle.image_shape)
    raise InputError("The link's image is neither an image of the data set nor an image carried in the link.")


def image_words(reference: str) -> str:
    """Return a short name of the image for people."""
    if match := _SET_IMAGE.fullmatch(reference):
        kind = {"train": "Training", "fit": "Fitting", "calibration": "Calibration", "test": "Test"}[match[1]]
        return f"{kind} image {match[2]}"
    photograph = photograph_of(reference)
    return "Your image" if photograph is None else photograph.title


def photograph_of(reference: str) -> Photograph | None:
    """Return the photograph that an image was cut from, or None."""
    match = _CARRIED_IMAGE.fullmatch(reference) or _KEPT_IMAGE.fullmatch(reference)
    return None if match is None or match[1] is None else find_photograph(match[1])


def true_label(reference: str, bundle: Bundle) -> int | None:
    """Return the data set's own label of the image; None for an image of the person's own, or where it has none."""
    match = _SET_IMAGE.fullmatch(reference)
    if match is None or bundle.image_set is None or not bundle.labelled:
        return None
    return int(bundle.image_set.labels[int(match[2])])


def _read_from_set(split: str, image_id: int, bundle: Bundle) -> FloatImages:
    if bundle.image_set is None:
        raise InputError(str(bundle.data_problem))
    if image_id not in getattr(bundle.splits, split):
        raise InputError(f"The data set has no {split} image {image_id}.")
    image: FloatImages = bundle.image_set.images([image_id])[0]
    return image


def _read_carried(text: str, shape: tuple[int, int, int]) -> FloatImages:
    if len(text) > LONGEST_LINK_IMAGE:
        raise InputError("The image in the link is too long.")
    channels, height, width = shape
    mode = "L" if channels == 1 else "RGB"
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        picture = Image.open(io.BytesIO(data), formats=("PNG",))
        if picture.size != (width, height) or picture.mode != mode:
            raise InputError(f"The image in the link must be {width} × {height} pixels for this model.")
        pixels = np.asarray(picture, dtype=np.uint8)
    except (binascii.Error, UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError("The image in the link is damaged.") from error
    return to_floats(pixels[None] if channels == 1 else np.ascontiguousarray(np.moveaxis(pixels, -1, 0)))


def _read_kept(digest: str, photograph: str | None, shape: tuple[int, int, int]) -> FloatImages:
    """Return an image that this server keeps, or cut a photograph that comes along again."""
    image, known = kept_images.find(digest), find_photograph(photograph or "")
    if image is None and known is not None and image_sha256(cut := photograph_for(known, shape)) == digest:
        image = cut
    if image is None:
        raise InputError("The link's image is too large for a link, and kept here no more: upload it again.")
    if image.shape != shape:
        raise InputError(f"The link's image must be {shape[2]} × {shape[1]} pixels for this model.")
    return image


def _image_or_sample(reference: str | None, sample: str, bundle: Bundle, warnings: list[str]) -> str:
    if reference is None or reference == sample:
        return sample
    try:
        read_image(reference, bundle)
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
