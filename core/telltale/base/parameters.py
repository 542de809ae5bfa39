"""Declared parameters: one description from which validation, command line and sliders are drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from telltale.base.errors import InputError

ParameterValue: TypeAlias = int | float | bool | str
JOINT = "+"
ParameterType: TypeAlias = Literal["int", "float", "bool", "choice"]


@dataclass(frozen=True)
class Parameter:
    """One declared parameter of an attack or a detector.

    Parameters
    ----------
    name : str
        Keyword under which the value is passed.
    type : {"int", "float", "bool", "choice"}
        Kind of value.
    default : int, float, bool or str
        Value taken when none is given.
    low, high : float, optional
        Closed range of an ``int`` or ``float``.
    choices : tuple of str
        Accepted values of a ``choice``.
    help : str
        One sentence for tooltips and ``--help``; units are named here.
    step : float, optional
        How far one move of a ``float``'s slider goes; a hundredth of its range where left out.
    title : str
        Label for people; the name in words where left out.
    pixels : bool
        Whether a ``float`` is a change of a pixel in [0, 1] pixel units, which has a grid of 255 grey levels.
    joined : bool
        Whether a ``choice`` may also be several different choices, joined by "+".
    late : bool
        Whether it was added when links and cases without it had been kept: a value equal to the default goes
        unmentioned, so that they stay what they were.
    """

    name: str
    type: ParameterType
    default: ParameterValue
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    help: str = ""
    step: float | None = None
    title: str = ""
    pixels: bool = False
    joined: bool = False
    late: bool = False

    @property
    def label(self) -> str:
        """The label shown to people."""
        return self.title or self.name.replace("_", " ").capitalize()

    @property
    def accepted(self) -> str:
        """The accepted values in words, as used in error messages."""
        if self.type == "choice":
            return "one of " + ", ".join(self.choices) + (" or several, joined by '+'" if self.joined else "")
        if self.type == "bool":
            return "true or false"
        kind = "an integer" if self.type == "int" else "a number"
        return f"{kind} in [{_bound(self.low)}, {_bound(self.high)}]"

    def validate(self, value: object, owner: str) -> ParameterValue:
        """Return `value` in its declared type.

        Parameters
        ----------
        value : object
            A value of the declared type, or its text as typed on a command line or found in a URL.
        owner : str
            Whose parameter it is, named in the error.

        Raises
        ------
        InputError
            If the value is of another type or outside the declared range.
        """
        parsed = self._parse(value)
        if parsed is None or not self._in_range(parsed):
            raise InputError(f"The '{self.name}' parameter of {owner} must be {self.accepted}. Got {value!r} instead.")
        return parsed

    def _parse(self, value: object) -> ParameterValue | None:
        if self.type == "bool":
            return _parse_bool(value)
        if self.type == "choice":
            return value if isinstance(value, str) else None
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            return None
        try:
            number = float(value)
        except ValueError:
            return None
        if not math.isfinite(number):
            return None
        if self.type == "float":
            return number
        return int(number) if number == int(number) else None

    def _in_range(self, value: ParameterValue) -> bool:
        if isinstance(value, str):
            parts = value.split(JOINT) if self.joined else [value]
            return len(set(parts)) == len(parts) and set(parts) <= set(self.choices)
        if isinstance(value, bool):
            return True
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)


def validate_parameters(
    declared: Sequence[Parameter], given: Mapping[str, object], owner: str
) -> dict[str, ParameterValue]:
    """Return every declared parameter with its given or default value; a late one only with another than its default.

    Raises
    ------
    InputError
        If a name is not declared or a value is not accepted.
    """
    names = [parameter.name for parameter in declared]
    for name in given:
        if name not in names:
            accepted = ", ".join(names) if names else "no parameters"
            raise InputError(f"{owner} has no parameter '{name}'; it accepts {accepted}.")
    values = {p.name: p.validate(given.get(p.name, p.default), owner) for p in declared}
    return {p.name: values[p.name] for p in declared if not (p.late and values[p.name] == p.default)}


def _bound(value: float | None) -> str:
    return "inf" if value is None else f"{value:g}"


def _parse_bool(value: object) -> bool | None:
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(value.lower()) if isinstance(value, str) else None
