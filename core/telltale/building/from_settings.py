"""From a file of settings, as ``telltale inspect`` has written it, to a bundle."""

from __future__ import annotations

from pathlib import Path

from telltale.base.places import PRECOMPUTED, writable
from telltale.base.progress import Progress
from telltale.building.alone import build_alone
from telltale.building.build import Opened, build_around, unopened
from telltale.building.inspecting.inspect import wrap_model
from telltale.building.inspecting.settings_file import read_settings
from telltale.building.own_images import ClassChoice
from telltale.recipes import own_plan


def build_from_settings(
    name: str,
    file: Path,
    *,
    data: str | None = None,
    out: Path | None = None,
    work: Path | None = None,
    minutes: float | None = None,
    progress: Progress,
    opened: Opened = unopened,
) -> Path:
    """Build a bundle around the network that a file of settings names.

    Parameters
    ----------
    name : str
        Of the bundle.
    file : Path
        As `telltale.building.inspecting.settings_file.read_settings` takes it.
    data : str, optional
        Images other than those that were inspected. Where neither names any, the bundle knows the network alone.
    out : Path, optional
        Bundle folder, named as the bundle; the person's folder for bundles where left out.
    work : Path, optional
        Where finished stages are kept, and stay.
    minutes : float, optional
        Cut to what fits into them.
    progress : callable
    opened : callable
        Told the bundle's folder when its first pages can be opened; see `telltale.building.build.build_around`.

    Returns
    -------
    Path
        The bundle's folder.

    Raises
    ------
    InputError
        If the settings cannot be read, the network or the images cannot be had, or do not belong together.
    """
    settings = read_settings(file)
    model, stated = settings.find(), settings.stated
    classifier = wrap_model(model, stated)
    source, folder = data or settings.source, out or writable(PRECOMPUTED) / name
    plan = own_plan(name, source or "", stated.attacks, stated.detectors, stated.title, stated.trained_on)
    if source is None:
        return build_alone(classifier, plan, folder, progress)
    choice = ClassChoice(stated.classes, model.synonyms)
    return build_around(classifier, plan, folder, progress, work, choice, minutes, opened)
