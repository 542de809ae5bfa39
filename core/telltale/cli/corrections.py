"""``telltale corrections``: training images removed or relabelled, what that does, and what is taken along."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import numpy.typing as npt
import typer
from rich.table import Table

from telltale.base.errors import InputError
from telltale.base.progress import Progress
from telltale.base.terminal import plain_console
from telltale.bundle import Bundle, load_bundle
from telltale.bundle.pictures import file_names, load_picture
from telltale.cli.options import JsonOption, NameArgument
from telltale.cli.output import check_writable, print_record, progress, text, write_whole
from telltale.model_errors.corrections import (
    RELABEL,
    Correction,
    TrainingSet,
    as_arrays,
    from_csv,
    proposed,
    require_corrections,
    summary,
    to_csv,
)

if TYPE_CHECKING:
    from telltale.analysis.opened import LoadedBundle
    from telltale.model_errors.changed_answers import ChangedAnswers
    from telltale.model_errors.refitting import Answers

Ids = npt.NDArray[np.int64]

NAMED = 8  # images that a line of the table lists
TITLES = {
    "network": "the network itself reads",
    "before": "its head, refitted",
    "first_order": "foretold by influence",
    "after": "really, after correction",
}

corrections = typer.Typer(
    help="Remove or relabel training images, and see what the head answers then.", rich_markup_mode=None
)
FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="Corrections as CSV.")]


@corrections.command("propose")
def propose(
    name: NameArgument,
    out: Annotated[Path, typer.Option("--out", help="CSV file to write.")],
    count: Annotated[int, typer.Option("--count", min=1, help="How many of the most suspicious images.")] = 20,
    action: Annotated[
        Literal["relabel", "remove"], typer.Option("--action", help="To what most neighbours say, or out of the set.")
    ] = "relabel",
) -> None:
    """Write the most suspicious training images as corrections, to be looked through before they are used."""
    check_writable(out, "--out")
    bundle = load_bundle(name)
    bundle.require_labels()
    with progress() as report:
        from telltale.analysis.opened import load_reference
        from telltale.model_errors.suspicious import suspicious_images

        found = suspicious_images(load_reference(bundle), report)
    listed = proposed(found, count, action == RELABEL)
    write_whole(out, to_csv(listed, bundle.class_names, file_names(bundle)).encode())
    plain_console().print(f"Wrote {len(listed):,} corrections into {out}: look through them first.", soft_wrap=True)


@corrections.command("check")
def check(name: NameArgument, file: FileArgument, as_json: JsonOption = False) -> None:
    """Read corrections and list them; every bad row is said in one sentence."""
    bundle = load_bundle(name)
    read = from_csv(file.read_bytes(), TrainingSet.of_bundle(bundle))
    table = Table("image", "class", "action", "new class", "reason")
    rows = [_row(correction, bundle) for correction in read.corrections]
    for row in rows:
        table.add_row(*(text(value) for value in row.values()))
    table.caption = "\n".join(read.problems) or None
    table.caption_justify = "left"
    print_record({"bundle": name, "corrections": rows, "problems": list(read.problems)}, table, as_json)
    if read.problems:
        total = len(read.problems) + len(read.corrections)
        raise InputError(f"{len(read.problems):,} of {total:,} rows of '{file}' are wrong.")


@corrections.command("refit")
def refit(
    name: NameArgument,
    file: FileArgument,
    image: Annotated[Path | None, typer.Option("--image", help="An image whose answer is looked at.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Refit the softmax head on the corrected training images, and count the test images that it reads differently."""
    bundle = load_bundle(name)
    found = _require(file, bundle)
    picture = None if image is None else load_picture(bundle, image)
    ids, labels = as_arrays(found)
    with progress() as report:
        from telltale.analysis.kept import load
        from telltale.model_errors.refitting import refit as refit_head

        loaded = load(name)
        result = refit_head(loaded, ids, labels, picture, report)
        changed = _changed(loaded, ids, labels, report)
    table = Table("what", "value")
    table.add_row("corrections", summary(found))
    record: dict[str, object] = {"bundle": name, "corrections": len(found), "removed": result.removed}
    if result.answers is not None:
        record["answers"] = _tell_answers(result.answers, bundle, table)
    record["test"] = _tell_test(changed, table)
    print_record(record, table, as_json)


def _changed(loaded: LoadedBundle, ids: Ids, labels: Ids, report: Progress) -> ChangedAnswers | str:
    """Return what the test images say, or why they cannot be asked."""
    from telltale.model_errors.changed_answers import changed_answers

    try:
        return changed_answers(loaded, ids, labels, report)
    except InputError as error:  # the images are not on this machine
        return str(error)


def _tell_answers(answers: Answers, bundle: Bundle, table: Table) -> dict[str, object]:
    said = {key: getattr(answers, key) for key in TITLES}
    for key, values in said.items():
        table.add_row(TITLES[key], f"{bundle.class_names[int(np.argmax(values))]} ({np.max(values):.1%})")
    return {key: values.tolist() for key, values in said.items()}


def _tell_test(changed: ChangedAnswers | str, table: Table) -> dict[str, object]:
    if isinstance(changed, str):
        table.add_row("test images", changed)
        return {"problem": changed}
    table.add_row("test images read", f"{changed.images:,} of {changed.of:,}")
    table.add_row("of these correctly", f"{changed.right_before:,} before, {changed.right_after:,} after")
    table.add_row("wrong, now right", _listed(changed.to_right.tolist()))
    table.add_row("right, now wrong", _listed(changed.to_wrong.tolist()))
    return {key: np.asarray(value).tolist() for key, value in vars(changed).items()}


@corrections.command("folders")
def folders(
    name: NameArgument,
    file: FileArgument,
    out: Annotated[Path, typer.Option("--out", help="Folder to make; it must not be there yet.")],
) -> None:
    """Copy all images into one folder per class, with the corrections applied to the training images."""
    from telltale.model_errors.corrected_folders import write_folders

    bundle = load_bundle(name)
    found = _require(file, bundle)
    with progress() as report:
        count = write_folders(bundle, found, out, report)
    plain_console().print(f"Wrote {count:,} images into {out}: {summary(found)}.", soft_wrap=True)


def _require(file: Path, bundle: Bundle) -> tuple[Correction, ...]:
    found = require_corrections(file.read_bytes(), TrainingSet.of_bundle(bundle))
    if not found:
        raise InputError(f"'{file}' corrects nothing.")
    return found


def _row(correction: Correction, bundle: Bundle) -> dict[str, object]:
    names, new = bundle.class_names, correction.new_label
    return {
        "image_id": correction.image_id,
        "class": names[correction.label],
        "action": correction.action,
        "new_class": None if new is None else names[new],
        "reason": correction.reason,
    }


def _listed(ids: Sequence[int]) -> str:
    named = ", ".join(map(str, ids[:NAMED]))
    return "none" if not ids else f"{len(ids)}: images {named}" + (", ..." if len(ids) > NAMED else "")
