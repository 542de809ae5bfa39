"""Arguments and options that several commands share, and what is made of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from telltale.attacks.base import AnyAttack
from telltale.base.errors import InputError
from telltale.base.parameters import ParameterValue, validate_parameters
from telltale.bundle import Bundle

ImageArgument = Annotated[
    Path,
    typer.Argument(
        metavar="IMAGE", help="An image of exactly the bundle's size and mode, or of any size where its pictures were."
    ),
]
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="A bundle's name or folder.")]
BundleOption = Annotated[str, typer.Option("--bundle", help="A bundle's name or folder.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")]
DataOption = Annotated[
    str | None, typer.Option("--data", help="digits, mnist, cifar10, ..., a folder or a hub id owner/name.")
]


def attack_values(spec: AnyAttack, settings: Sequence[str], bundle: Bundle) -> dict[str, ParameterValue]:
    """Return the parameters of an attack: those given, else those behind the bundle's scores, else the defaults."""
    given = parse_settings(settings)
    validate_parameters(spec.parameters, given, f"attack '{spec.name}'")
    values = {**bundle.attack_parameters(spec.name), **given}
    return validate_parameters(spec.parameters, values, f"attack '{spec.name}'")


def parse_settings(settings: Sequence[str]) -> dict[str, str]:
    """Read ``NAME=VALUE``, each name once."""
    parsed: dict[str, str] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or not name:
            raise InputError(f"--set takes NAME=VALUE; got '{setting}'.")
        if name in parsed:
            raise InputError(f"--set gives '{name}' twice.")
        parsed[name] = value
    return parsed
