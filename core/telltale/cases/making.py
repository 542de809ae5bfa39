"""Making a case, from the app or from a file: what people write is tidied, what belongs together is checked."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from telltale.attacks.registry import get_attack
from telltale.base.errors import InputError
from telltale.base.images import FloatImages, image_sha256
from telltale.base.parameters import validate_parameters
from telltale.cases.pixels import read_png
from telltale.cases.reading import storable
from telltale.cases.record import CaseNumbers, CaseRecord, CaseSettings, SavedCase, parameters_of
from telltale.data.uploads import png_bytes
from telltale.scores.calibration import check_alpha

LONGEST_NOTE = 4_000
LONGEST_TAG = 40
LONGEST_TITLE = 200
MOST_TAGS = 20
LARGEST_SEED = 2**31 - 1
_ID = re.compile(r"[0-9a-f]{32}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_BUNDLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def new_case(
    settings: CaseSettings,
    title: str,
    bundle_id: str,
    numbers: CaseNumbers,
    natural: FloatImages,
    attacked: FloatImages | None,
    note: str = "",
    tags: Sequence[str] = (),
) -> SavedCase:
    """Return a new case, with an id and a time of its own.

    Parameters
    ----------
    settings : CaseSettings
    title : str
        The image in a few words.
    bundle_id : str
        Content id of the bundle that computed `numbers`.
    numbers : CaseNumbers
    natural, attacked : array of float32, shape (C, H, W), or None
    note : str
    tags : sequence of str
        Surrounding blanks and repetitions are dropped.

    Raises
    ------
    InputError
        If the note is too long, or tags are too long or too many.
    """
    record = CaseRecord(
        id=uuid.uuid4().hex,
        saved_at=datetime.now(UTC).replace(microsecond=0),
        note=storable(note).strip(),
        tags=tidy_tags([storable(tag) for tag in tags]),
        title=title,
        settings=replace(settings, parameters=parameters_of(settings.parameters)),
        bundle_id=bundle_id,
        numbers=numbers,
    )
    return checked(SavedCase(record, png_bytes(natural), None if attacked is None else png_bytes(attacked)))


def tidy_tags(tags: Sequence[str]) -> tuple[str, ...]:
    """Return tags without surrounding blanks, empty ones and repetitions, in their order."""
    return tuple(dict.fromkeys(" ".join(tag.split()) for tag in tags if tag.strip()))


def checked(case: SavedCase) -> SavedCase:
    """Return the case, its PNGs written anew, if its parts belong together.

    Raises
    ------
    InputError
        If an id is malformed, a text too long, the attack or one of its settings unknown here, or a picture is not
        the one that the numbers are of.
    """
    record = case.record
    _check_texts(record)
    _check_settings(record.settings)
    _check_parts(case)
    natural = _checked_png(case.natural_png, record.numbers.natural.image_sha256, "natural")
    if case.attacked_png is None or record.numbers.attacked is None:
        return SavedCase(record, natural, None)
    attacked = _checked_png(case.attacked_png, record.numbers.attacked.image_sha256, "attacked")
    return SavedCase(record, natural, attacked)


def _check_texts(record: CaseRecord) -> None:
    if not (_ID.fullmatch(record.id) and _SHA256.fullmatch(record.bundle_id)):
        raise InputError("The case's id or its bundle's id is malformed.")
    if len(record.note) > LONGEST_NOTE:
        raise InputError(f"A note may have at most {LONGEST_NOTE:,} characters; this one has {len(record.note):,}.")
    if len(record.tags) > MOST_TAGS or any(len(tag) > LONGEST_TAG for tag in record.tags):
        raise InputError(f"A case may have at most {MOST_TAGS} tags of at most {LONGEST_TAG} characters each.")
    if record.tags != tidy_tags(record.tags) or len(record.title) > LONGEST_TITLE:
        raise InputError("The case's title or tags are malformed.")


def _check_settings(settings: CaseSettings) -> None:
    if not _BUNDLE.fullmatch(settings.bundle):
        raise InputError("The case names its model by something that is no name.")
    check_alpha(settings.alpha)
    if not 0 <= settings.seed <= LARGEST_SEED or (isinstance(settings.target, int) and settings.target < 0):
        raise InputError("The case's seed or target is out of range.")
    if settings.attack is not None:
        spec = get_attack(settings.attack)
        validate_parameters(spec.parameters, settings.parameters, spec.title)


def _check_parts(case: SavedCase) -> None:
    numbers, attacked = case.record.numbers, case.record.settings.attack is not None
    parts = (numbers.attacked, numbers.attack, case.attacked_png)
    if any((part is not None) != attacked for part in parts):
        raise InputError("The case's attack, its numbers and its attacked picture do not belong together.")


def _checked_png(data: bytes, digest: str, name: str) -> bytes:
    """Return the same pixels in a PNG of our own, without whatever else the file carried."""
    pixels = read_png(data)
    if image_sha256(pixels) != digest:
        raise InputError(f"The {name} picture is not the one that the case's numbers are of.")
    return png_bytes(pixels)
