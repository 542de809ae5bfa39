"""The command that looks at somebody's own network before a bundle is built around it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from telltale.base.errors import InputError
from telltale.base.terminal import plain_console
from telltale.cli.model_options import (
    MODEL_HELP,
    ArgumentsOption,
    HeadOption,
    MeanOption,
    ResizeOption,
    SizeOption,
    StdOption,
    WeightsOption,
    read_arguments,
    read_side,
    stated_preprocess,
)
from telltale.cli.options import JsonOption
from telltale.cli.output import check_writable, print_json, progress, write_whole

if TYPE_CHECKING:
    from telltale.building.inspecting.inspection import Inspection

FOLDERS = "folders"


def inspect(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the bundle that it will be; writes NAME.toml.")],
    model: Annotated[str, typer.Option("--model", help=MODEL_HELP)],
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            help="A folder with one folder of pictures per class, or of pictures, or a data set; without it, what the "
            "network alone tells.",
        ),
    ] = None,
    weights: WeightsOption = None,
    classes: Annotated[
        str | None,
        typer.Option(
            "--classes",
            help="Names of the outputs in their order: with commas between, a file with a name a line, or 'folders' if "
            "outputs are numbered as the sorted folders are.",
        ),
    ] = None,
    size: SizeOption = None,
    resize: ResizeOption = None,
    mean: MeanOption = None,
    std: StdOption = None,
    arguments: ArgumentsOption = None,
    head: HeadOption = None,
    trained_on: Annotated[
        bool | None,
        typer.Option(
            "--trained-on/--not-trained-on",
            help="Whether the network has learned from these pictures (from the folder 'train', where there is one).",
        ),
    ] = None,
    images: Annotated[int, typer.Option("--images", min=10, help="How many pictures to read.")] = 200,
    no_cost: Annotated[bool, typer.Option("--no-cost", help="Do not measure what a build takes.")] = False,
    out: Annotated[Path | None, typer.Option("--out", help="File of settings; NAME.toml by default.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Look at your own network before a bundle is built around it, and write its file of settings."""
    file = out or Path(f"{name}.toml")
    check_writable(file, "--out")
    if trained_on is not None and data is None:
        raise InputError("--trained-on and --not-trained-on are about the pictures in --data, and there are none.")
    given, side = read_arguments(arguments), read_side(size, "--size")
    stated_preprocess(side, resize, mean, std, None)  # what cannot be read is refused before any code runs
    with progress() as report:
        from telltale.building.inspecting.inspect import Stated, check_named
        from telltale.building.inspecting.inspect import inspect as look_at
        from telltale.building.inspecting.pictures import NO_PICTURES, read_pictures
        from telltale.building.inspecting.settings_file import settings_text
        from telltale.data.sources import lasting_source
        from telltale.models.references import find_model

        found_model = find_model(model, weights, given)
        if classes is None:
            check_named(found_model, found_model.class_names)  # before any picture is read
        pictures = NO_PICTURES if data is None else read_pictures(data, images)
        names = _class_names(classes, pictures.class_names)
        source = None if data is None else lasting_source(data)
        stated = Stated(
            size=side,
            preprocess=stated_preprocess(side, resize, mean, std, found_model.preprocess),
            class_names=names,
            head=head,
            trained_on=trained_on,
        )
        found = look_at(name, found_model, pictures, source, stated, cost=not no_cost, progress=report)
    write_whole(file, settings_text(found, stated).encode())
    if as_json:
        print_json(found.to_json() | {"settings": str(file)})
    else:
        _show(found, file)


def _class_names(value: str | None, folders: tuple[str, ...]) -> list[str] | None:
    if value is None:
        return None
    if value == FOLDERS:
        if not folders:
            raise InputError(f"--classes {FOLDERS} takes the names of the folders in --data, and there are none.")
        return sorted(folders)
    file = Path(value).expanduser()
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else value.split(",")
    return [line.strip() for line in lines if line.strip()]


def _show(found: Inspection, file: Path) -> None:
    from telltale.building.inspecting.wording import FACTS, WAYS, facts_of, remarks_of, title_of, ways_of

    console, record = plain_console(), found.to_json()
    ways = Table(*WAYS, title=title_of(record))
    for way in ways_of(found.accuracies):
        ways.add_row(*way)
    if found.accuracies:
        console.print(ways)
    facts = Table(*FACTS)
    for fact in facts_of(record).items():
        facts.add_row(*fact)
    console.print(facts)
    sys.stdout.write("\n".join([*remarks_of(record), f"Wrote {file}."]) + "\n")
