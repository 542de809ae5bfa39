"""Computing a case again: what `rerun.py` of an exported case calls."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

from telltale.base.errors import InputError, TelltaleError
from telltale.base.images import FloatImages
from telltale.base.terminal import hold_every_character
from telltale.cases.exporting import NATURAL, RECORD
from telltale.cases.numbers import case_numbers, differences, numbers_csv
from telltale.cases.pixels import read_png
from telltale.cases.reading import read_record
from telltale.cases.record import CaseNumbers, CaseRecord

SAME, DIFFERENT, BAD_INPUT = 0, 1, 2


def recompute(record: CaseRecord, natural: FloatImages) -> tuple[CaseNumbers, str]:
    """Return a case's numbers, computed now by this machine's bundle, and that bundle's content id.

    Parameters
    ----------
    record : CaseRecord
        Its settings are used, its numbers are not, except for the true class.
    natural : array of float32, shape (C, H, W)

    Raises
    ------
    InputError
        If the bundle is not here, or accepts no such image or settings.
    """
    from telltale.analysis.analyse import analyse_image, attack_image
    from telltale.analysis.kept import load

    settings = record.settings
    loaded = load(settings.bundle)  # one thread, as the engine's workers: the order of additions depends on it
    bundle = loaded.bundle
    own = None if record.numbers.true_class is None else _class_of(record.numbers.true_class, bundle.class_names)
    analysis = analyse_image(loaded, natural, settings.alpha)
    if settings.attack is None:
        return case_numbers(analysis, None, None, bundle.class_names, own), bundle.id
    result = attack_image(loaded, natural, settings.attack, settings.parameters, settings.seed, settings.target)
    attacked = analyse_image(loaded, result.images[0], settings.alpha)
    return case_numbers(analysis, result, attacked, bundle.class_names, own), bundle.id


def main(folder: Path) -> int:
    """Compute the case in a folder again, print its numbers as CSV, and say on stderr whether they are as saved.

    Parameters
    ----------
    folder : Path
        Where an exported case was unpacked.

    Returns
    -------
    int
        Exit status: 0 the same, 1 different, 2 something is missing or malformed.
    """
    hold_every_character()
    try:
        record = read_record((folder / RECORD).read_bytes())
        natural = read_png((folder / NATURAL).read_bytes())
        with contextlib.redirect_stdout(sys.stderr):  # stdout is for the numbers alone
            now, bundle_id = recompute(record, natural)
    except OSError as error:
        return _said(f"'{error.filename}' cannot be read: {error.strerror}.", BAD_INPUT)
    except TelltaleError as error:
        return _said(str(error), BAD_INPUT)
    sys.stdout.write(numbers_csv(now))
    if bundle_id != record.bundle_id:
        _said(f"The model '{record.settings.bundle}' on this machine is another build than the saved one.", SAME)
    changed = differences(record.numbers, now)
    if changed:
        return _said(f"These differ from the saved numbers: {', '.join(changed)}.", DIFFERENT)
    return _said("The same numbers as saved.", SAME)


def _class_of(name: str, class_names: tuple[str, ...]) -> int:
    if name not in class_names:
        raise InputError(f"The model has no class '{name[:40]}'.")
    return class_names.index(name)


def _said(sentence: str, status: int) -> int:
    sys.stderr.write(sentence + "\n")
    return status
