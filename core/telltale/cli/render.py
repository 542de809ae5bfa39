"""``telltale render``: image sets that are drawn, made anew from a seed."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from telltale.base.terminal import plain_console
from telltale.cli.options import JsonOption
from telltale.cli.output import print_json, progress
from telltale.signs.kinds import KINDS
from telltale.signs.writing import LEAST_IMAGES, USUAL_IMAGES, write_set

render = typer.Typer(help="Draw an image set anew, bit for bit, from nothing but a seed.", rich_markup_mode=None)


@render.command("signs")
def render_signs(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="It is empty or not there yet.")],
    seed: Annotated[int, typer.Option("--seed", help="Another seed draws another set.")] = 0,
    images: Annotated[
        int,
        typer.Option(
            "--images",
            help=f"For training, at least {LEAST_IMAGES}; a quarter as many for validation and for testing on top.",
        ),
    ] = USUAL_IMAGES,
    as_json: JsonOption = False,
) -> None:
    """Draw road signs as a car's camera would see them; none was photographed."""
    with progress() as report:
        written = write_set(folder, seed, images, report)
    if as_json:
        print_json({**asdict(written), "folder": str(written.folder), "seed": seed})
        return
    console = plain_console()
    counts = (
        f"{written.train} training, {written.validation} validation and {written.test} test images of "
        f"{len(KINDS)} kinds of sign"
    )
    for line in (
        f"Wrote {counts} to {written.folder}.",
        f"Drawn from seed {seed}, not photographed. SHA-256 of all pixels: {written.pixels_sha256}",
    ):
        console.print(line, soft_wrap=True, highlight=False)
