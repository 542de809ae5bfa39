"""Options that name a network of somebody's own, shared by the commands that look at it and that fine-tune it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from telltale.base.errors import InputError

if TYPE_CHECKING:
    from telltale.models.preprocess import Preprocess

MODEL_HELP = (
    "FILE.py:FUNCTION, package.module:function, hf:OWNER/NAME[@REVISION], a save_pretrained folder, a .safetensors "
    "file of train --from, or imagenet."
)
WeightsOption = Annotated[
    Path | None, typer.Option("--weights", help="A .safetensors file, or .pth or .pt: a state dict.")
]
SizeOption = Annotated[str | None, typer.Option("--size", help="N or HEIGHTxWIDTH that the network takes.")]
ResizeOption = Annotated[str | None, typer.Option("--resize", help="Shorter side before cropping, or HEIGHTxWIDTH.")]
MeanOption = Annotated[str | None, typer.Option("--mean", help="Of pixels in 0 to 1; one number or three.")]
StdOption = Annotated[str | None, typer.Option("--std", help="Of pixels in 0 to 1; one number or three.")]
ArgumentsOption = Annotated[
    str | None, typer.Option("--arguments", help="What FUNCTION is called with, as a JSON object.")
]
HeadOption = Annotated[str | None, typer.Option("--head", help="The module whose output are the logits.")]


def stated_preprocess(
    size: tuple[int, int] | None,
    resize: str | None,
    mean: str | None,
    std: str | None,
    known: Preprocess | None,
) -> Preprocess | None:
    """Return what was stated, the rest as the model says it; None where nothing was."""
    from dataclasses import replace

    from telltale.models.preprocess import Preprocess

    shorter, middle, spread = read_side(resize, "--resize"), _numbers(mean, "--mean"), _numbers(std, "--std")
    found = known or Preprocess()
    if size is not None or shorter is not None:
        if size is None:
            raise InputError("--resize says what happens before cropping; say by --size what is kept.")
        square = None if shorter is None else shorter[0] if shorter[0] == shorter[1] else shorter
        found = replace(found, resize=size if square is None else square, crop=None if square is None else size)
    found = found if middle is None else replace(found, mean=middle)
    found = found if spread is None else replace(found, std=spread)
    return None if found == (known or Preprocess()) else found


def read_side(value: str | None, option: str) -> tuple[int, int] | None:
    """Read ``N`` or ``HEIGHTxWIDTH``."""
    if value is None:
        return None
    parts = value.lower().split("x")
    if len(parts) > 2 or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise InputError(f"{option} takes N or HEIGHTxWIDTH, in pixels. Got '{value}' instead.")
    return int(parts[0]), int(parts[-1])


def read_arguments(value: str | None) -> dict[str, Any]:
    """Read what FUNCTION is called with."""
    try:
        found = {} if value is None else json.loads(value)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise InputError(f"--arguments takes a JSON object. Got '{value}' instead.")
    return found


def _numbers(value: str | None, option: str) -> float | list[float] | None:
    if value is None:
        return None
    try:
        found = [float(part) for part in value.split(",")]
    except ValueError as error:
        raise InputError(f"{option} takes a number, or one per channel with commas between. Got '{value}'.") from error
    return found[0] if len(found) == 1 else found
