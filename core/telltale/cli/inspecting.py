"""The command that looks at somebody's own network before a bundle is built around it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from telltale.base.errors import InputError
from telltale.cli.options import JsonOption
from telltale.cli.output import check_writable, print_json, progress, write_whole

if TYPE_CHECKING:
    from telltale.building.inspecting.inspection import Inspection
    from telltale.models.preprocess import Preprocess

FOLDERS = "folders"


def inspect(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the bundle that it will be; writes NAME.toml.")],
    model: Annotated[
        str,
        typer.Option(
            "--model",
            help="FILE.py:FUNCTION, package.module:function, hf:OWNER/NAME[@REVISION], a save_pretrained "
            "folder, or imagenet.",
        ),
    ],
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            help="A folder with one folder of pictures per class, or of pictures, or a data set; without it, what the "
            "network alone tells.",
        ),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option("--weights", help="A .safetensors file, or a .pth or .pt with a state dict.")
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(
            "--classes",
            help="Names of the outputs in their order: with commas between, a file with a name a line, or 'folders' if "
            "outputs are numbered as the sorted folders are.",
        ),
    ] = None,
    size: Annotated[str | None, typer.Option("--size", help="N or HEIGHTxWIDTH that the network takes.")] = None,
    resize: Annotated[
        str | None, typer.Option("--resize", help="Shorter side before cropping, or HEIGHTxWIDTH.")
    ] = None,
    mean: Annotated[str | None, typer.Option("--mean", help="Of pixels in 0 to 1; one number or three.")] = None,
    std: Annotated[str | None, typer.Option("--std", help="Of pixels in 0 to 1; one number or three.")] = None,
    arguments: Annotated[
        str | None, typer.Option("--arguments", help="What FUNCTION is called with, as a JSON object.")
    ] = None,
    head: Annotated[str | None, typer.Option("--head", help="The module whose output are the logits.")] = None,
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
    given = _json_object(arguments)
    sides = _side(size, "--size"), _side(resize, "--resize")
    numbers = _numbers(mean, "--mean"), _numbers(std, "--std")
    with progress() as report:
        from telltale.building.inspecting.inspect import Stated
        from telltale.building.inspecting.inspect import inspect as look_at
        from telltale.building.inspecting.pictures import NO_PICTURES, read_pictures
        from telltale.building.inspecting.settings_file import settings_text
        from telltale.data.sources import lasting_source
        from telltale.models.references import find_model

        found_model = find_model(model, weights, given)
        pictures = NO_PICTURES if data is None else read_pictures(data, images)
        names = _class_names(classes, pictures.class_names)
        stated = Stated(
            size=sides[0],
            preprocess=_preprocess(sides, numbers, found_model.preprocess),
            class_names=names,
            head=head,
            trained_on=trained_on,
        )
        source = None if data is None else lasting_source(data)
        found = look_at(name, found_model, pictures, source, stated, cost=not no_cost, progress=report)
    write_whole(file, settings_text(found, stated).encode())
    if as_json:
        print_json(found.to_json() | {"settings": str(file)})
    else:
        _show(found, file)


def _preprocess(
    sides: tuple[tuple[int, int] | None, tuple[int, int] | None],
    numbers: tuple[list[float] | None, list[float] | None],
    known: Preprocess | None,
) -> Preprocess | None:
    """Return what was stated, the rest as the model says it; None where nothing was."""
    from dataclasses import replace

    from telltale.models.preprocess import Preprocess

    size, resize = sides
    found = known or Preprocess()
    if size is not None or resize is not None:
        if size is None:
            raise InputError("--resize says what happens before cropping; say by --size what is kept.")
        square = None if resize is None else resize[0] if resize[0] == resize[1] else resize
        found = replace(found, resize=size if square is None else square, crop=None if square is None else size)
    mean, std = (None if value is None else value[0] if len(value) == 1 else value for value in numbers)
    found = found if mean is None else replace(found, mean=mean)
    found = found if std is None else replace(found, std=std)
    return None if found == (known or Preprocess()) else found


def _side(value: str | None, option: str) -> tuple[int, int] | None:
    if value is None:
        return None
    parts = value.lower().split("x")
    if len(parts) > 2 or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise InputError(f"{option} takes N or HEIGHTxWIDTH, in pixels. Got '{value}' instead.")
    return int(parts[0]), int(parts[-1])


def _numbers(value: str | None, option: str) -> list[float] | None:
    try:
        return None if value is None else [float(part) for part in value.split(",")]
    except ValueError as error:
        raise InputError(f"{option} takes a number, or one per channel with commas between. Got '{value}'.") from error


def _json_object(value: str | None) -> dict[str, Any]:
    try:
        found = {} if value is None else json.loads(value)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise InputError(f"--arguments takes a JSON object. Got '{value}' instead.")
    return found


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

    console, record = Console(), found.to_json()
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
