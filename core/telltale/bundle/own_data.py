"""How a bundle around somebody's own classifier finds its images again: their size, and their classes' outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from telltale.base.errors import DamagedBundleError, InputError
from telltale.data.image_set import ImageSet
from telltale.data.outputs import by_output
from telltale.data.sizing import Sizing
from telltale.models.preprocess import Preprocess, Side

SIZING, OUTPUTS = "sizing", "outputs"  # notes of the manifest


def sizing_note(preprocess: Preprocess, channels: int) -> dict[str, object]:
    """Return what `noted_sizing` reads."""
    sides = {name: _listed(getattr(preprocess, name)) for name in ("resize", "crop")}
    return {**sides, "interpolation": preprocess.interpolation, "channels": channels}


def noted_sizing(notes: Mapping[str, Any]) -> Sizing | None:
    """Return what brings a bundle's images to their size; None where they are used as they are.

    Raises
    ------
    DamagedBundleError
        If the note cannot be read.
    """
    note = notes.get(SIZING)
    if note is None:
        return None
    try:
        preprocess = Preprocess(_side(note["resize"]), _side(note["crop"]), interpolation=note["interpolation"])
        return preprocess.sizing(int(note["channels"]))
    except (KeyError, TypeError, ValueError, InputError) as error:
        raise DamagedBundleError(f"The bundle does not say how its images are brought to size: {error}.") from error


def as_noted(image_set: ImageSet, notes: Mapping[str, Any], class_names: tuple[str, ...]) -> ImageSet:
    """Give a bundle's images the numbers of its classifier's outputs, where these are others.

    Raises
    ------
    DamagedBundleError
        If the note cannot be read.
    """
    outputs = notes.get(OUTPUTS)
    if outputs is None:
        return image_set
    sound = isinstance(outputs, dict) and all(
        isinstance(place, int) and 0 <= place < len(class_names) for place in outputs.values()
    )
    if not sound:
        raise DamagedBundleError("The bundle does not say which of its classes its images are of.")
    return by_output(image_set, outputs, class_names)


def _listed(side: Side | None) -> object:
    return list(side) if isinstance(side, tuple) else side


def _side(side: Any) -> Side | None:
    return (side[0], side[1]) if isinstance(side, list) else side
