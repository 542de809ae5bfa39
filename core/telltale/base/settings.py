"""Typed settings: a frozen dataclass whose fields declare the parameters of an attack or a detector, once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from typing import Self, TypeVar, get_type_hints

from telltale.base.parameters import Parameter, ParameterType, ParameterValue, validate_parameters

Value = TypeVar("Value", bound=int | float | str)

_DECLARATION = "parameter"
_TYPES: Mapping[object, ParameterType] = {bool: "bool", int: "int", float: "float"}


@dataclass(frozen=True)
class _Declaration:
    """What a field says of its parameter beside its name, type and default."""

    low: float | None
    high: float | None
    choices: tuple[str, ...] | Callable[[], tuple[str, ...]]
    help: str
    step: float | None
    title: str
    pixels: bool
    joined: bool
    late: bool


def parameter(
    default: Value,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] | Callable[[], tuple[str, ...]] = (),
    help: str,  # noqa: A002 - the word of `Parameter`
    step: float | None = None,
    title: str = "",
    pixels: bool = False,
    joined: bool = False,
    late: bool = False,
) -> Value:
    """Declare a field of `Settings`; its name and annotation are the parameter's name and type.

    Parameters
    ----------
    default : int, float, bool or str
    low, high, help, step, title, pixels, joined, late
        As for `telltale.base.parameters.Parameter`.
    choices : tuple of str, or callable without arguments
        Accepted values of a field of text; a callable is asked when the parameters are first looked at, so that
        declaring them need not import what it lists.

    Returns
    -------
    dataclasses.Field
        For the body of the class alone; a type checker takes it for the default, and so holds it against the
        annotation.
    """
    declaration = _Declaration(low, high, choices, help, step, title, pixels, joined, late)
    return field(default=default, metadata={_DECLARATION: declaration})


@dataclass(frozen=True)
class Settings:
    """Base of all settings: frozen dataclasses, every field of which is made by `parameter`.

    Examples
    --------
    >>> @dataclass(frozen=True)
    ... class BlurSettings(Settings):
    ...     width: float = parameter(1.0, low=0.0, high=9.0, help="Standard deviation, in pixels.")
    >>> BlurSettings.read({"width": "2.5"}, "blur").width
    2.5
    """

    @classmethod
    def parameters(cls) -> tuple[Parameter, ...]:
        """Return the declared parameters in the order of the fields."""
        return _parameters(cls)  # type: ignore[arg-type] # mypy takes a class's hash for its instances'

    @classmethod
    def read(cls, given: Mapping[str, object], owner: str) -> Self:
        """Return the settings with every given or default value, validated.

        Parameters
        ----------
        given : mapping of str to object
            Values by name, or their text as typed on a command line or found in a URL.
        owner : str
            Whose parameters they are, named in the error.

        Raises
        ------
        InputError
            If a name is not declared or a value is not accepted.
        """
        return cls(**validate_parameters(cls.parameters(), given, owner))

    def values(self) -> dict[str, ParameterValue]:
        """Return every value by name, in the order of the fields."""
        return {declared.name: getattr(self, declared.name) for declared in fields(self)}


@cache
def _parameters(kind: type[Settings]) -> tuple[Parameter, ...]:
    annotations = get_type_hints(kind)
    return tuple(_parameter(kind, declared.name, annotations) for declared in fields(kind))


def _parameter(kind: type[Settings], name: str, annotations: Mapping[str, object]) -> Parameter:
    declared = kind.__dataclass_fields__[name]
    declaration = declared.metadata.get(_DECLARATION)
    if declared.default is MISSING or not isinstance(declaration, _Declaration):
        raise TypeError(f"The field '{name}' of {kind.__name__} must be made by parameter().")
    choices = declaration.choices() if callable(declaration.choices) else declaration.choices
    return Parameter(
        name,
        "choice" if choices else _TYPES[annotations[name]],
        declared.default,
        declaration.low,
        declaration.high,
        choices,
        declaration.help,
        declaration.step,
        declaration.title,
        declaration.pixels,
        declaration.joined,
        declaration.late,
    )
