"""``telltale data``: what an image set holds, before anything is built on it."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from telltale.base.terminal import plain_console
from telltale.cli.options import JsonOption
from telltale.cli.output import print_json, progress
from telltale.data.checking import DataReport, check
from telltale.data.image_set import LeftOut
from telltale.data.sources import list_images

data = typer.Typer(help="Look at image sets before anything is built on them.", rich_markup_mode=None)

MOST_NAMED = 20


@data.command("check")
def check_data(
    source: Annotated[str, typer.Argument(metavar="FOLDER", help="A folder, a CSV of paths and labels, or a name.")],
    as_json: JsonOption = False,
) -> None:
    """Read every image and say what was read, what is there twice, and what was left out and why."""
    with progress() as report:
        found = check(list_images(source), report)
    if as_json:
        print_json(found.to_json())
        return
    console = plain_console()
    console.print(_counts(found))
    for line in _remarks(found):
        console.print(line, soft_wrap=True, highlight=False)


def _counts(found: DataReport) -> Table:
    table = Table("class", *found.splits)
    for name, counts in found.counts.items():
        table.add_row(name, *(str(counts[split]) for split in found.splits))
    if len(found.counts) > 1:
        sums = (sum(counts[split] for counts in found.counts.values()) for split in found.splits)
        table.add_section()
        table.add_row("together", *map(str, sums))
    return table


def _remarks(found: DataReport) -> list[str]:
    lines = [f"{found.images} images of {len(found.class_names)} classes, {_colours(found)}, {_sizes(found)}."]
    if not found.class_names:
        lines = [
            f"{found.images} images without labels, {_colours(found)}, {_sizes(found)}.",
            "Without labels there are no classes, errors, confusion or training; for those use one folder per class.",
        ]
    lines += _groups("in several splits", found.across, "No image is in several splits.")
    lines += _groups("under several labels", found.conflicting, "")
    if found.repeated:
        counted = ", ".join(f"{count} in {split}" for split, count in found.repeated.items())
        lines.append(f"There before in the same split: {counted}.")
    return lines + _left_out(found.left_out)


def _colours(found: DataReport) -> str:
    if found.grey in (0, found.images):
        return "grey" if found.grey else "in colour"
    return f"{found.grey} of them grey"


def _sizes(found: DataReport) -> str:
    if len(found.sizes) == 1:
        ((width, height),) = found.sizes
        return f"all {width}×{height}"
    least, most = min(found.sizes, key=_area), max(found.sizes, key=_area)
    return f"{len(found.sizes)} sizes from {least[0]}×{least[1]} to {most[0]}×{most[1]}"


def _area(size: tuple[int, int]) -> tuple[int, int]:
    return size[0] * size[1], size[0]


def _groups(what: str, groups: tuple[tuple[str, ...], ...], none: str) -> list[str]:
    if not groups:
        return [none] if none else []
    lines = [f"The same image {what}: {len(groups)}."]
    return lines + _some(["  " + " = ".join(group) for group in groups])


def _left_out(left_out: tuple[LeftOut, ...]) -> list[str]:
    if not left_out:
        return ["Nothing was left out."]
    return [f"Left out: {len(left_out)}.", *_some([f"  {left.name}: {left.reason}" for left in left_out])]


def _some(lines: list[str]) -> list[str]:
    more = len(lines) - MOST_NAMED
    return lines if more <= 0 else [*lines[:MOST_NAMED], f"  and {more} more, which --json names."]
