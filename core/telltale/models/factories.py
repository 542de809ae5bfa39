"""Functions that make networks, known by name, so that another process can make the same network again."""

from __future__ import annotations

import functools
import inspect
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, overload

from telltale.base.errors import InputError
from telltale.models.importing import import_place

if TYPE_CHECKING:
    from torch import nn

Factory = TypeVar("Factory", bound="Callable[..., nn.Module]")

MODELS_VARIABLE = "TELLTALE_MODELS"
MARK = "_telltale_made_by"

_factories: dict[str, Callable[..., nn.Module]] = {}
_with_weights: set[str] = set()
_loaded: set[str] = set()


@dataclass(frozen=True)
class Origin:
    """What made a network.

    Attributes
    ----------
    factory : str
        Name of a registered function; or a reference to code, where `code` is given.
    arguments : dict
        What it was called with, by name.
    code : str or None
        SHA-256 (hexadecimal) of the file that a reference leads to.
    problem : str or None
        Why no other process can make the network so.
    """

    factory: str
    arguments: dict[str, Any]
    code: str | None = None
    problem: str | None = None


@overload
def model_factory(name: Factory) -> Factory: ...


@overload
def model_factory(name: str, *, brings_weights: bool = False) -> Callable[[Factory], Factory]: ...


def model_factory(name: Any, *, brings_weights: bool = False) -> Any:
    """Register a function that makes a network, and mark the networks it makes.

    What `wrap` makes of such a network has a `Classifier.spec`, from which another process makes it again: the
    factory's name, its arguments and a file of weights, never a pickle. That process must know the factory: its file
    or module is named in the environment variable ``TELLTALE_MODELS``.

    Parameters
    ----------
    name : str or callable
        Name to register under; as a bare decorator, the function's own.
    brings_weights : bool
        Whether the same function gives the same trained weights on every machine: files of weights leave them out.

    Raises
    ------
    InputError
        If another function has that name.

    Examples
    --------
    >>> import telltale
    >>> from torch import nn
    >>> @telltale.model_factory
    ... def two_layers(width):
    ...     return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 3))
    >>> classifier = telltale.wrap(two_layers(width=5), classes=3, size=8)
    >>> classifier.spec.factory, classifier.spec.arguments
    ('two_layers', {'width': 5})
    """
    if isinstance(name, str):
        if brings_weights:
            _with_weights.add(name)
        return functools.partial(_register, name)
    return _register(name.__name__, name)


def brings_weights(name: str) -> bool:
    """Return whether networks of a factory have their weights from it, so that no file needs to hold them."""
    return name in _with_weights


def mark(network: nn.Module, reference: str, arguments: Mapping[str, Any], code: str) -> None:
    """Note on a network that a reference to code has made it; see `telltale.models.code`."""
    setattr(network, MARK, Origin(reference, dict(arguments), code))


def made_by(network: nn.Module) -> Origin:
    """Return what made a network.

    Raises
    ------
    InputError
        If no registered factory and no reference to code made it, or the arguments cannot be written as JSON.
    """
    origin = getattr(network, MARK, None)
    if origin is None:
        raise InputError(
            "No registered factory made this network, so no other process can make it again: put "
            "@telltale.model_factory on the function that makes it."
        )
    assert isinstance(origin, Origin)
    if origin.problem is not None:
        raise InputError(origin.problem)
    return origin


def make(name: str, arguments: dict[str, Any]) -> nn.Module:
    """Call a factory.

    Raises
    ------
    InputError
        If there is none of that name, it does not take these arguments, or a file or module that ``TELLTALE_MODELS``
        names cannot be imported.
    """
    load_factories()
    if name not in _factories:
        raise InputError(
            f"The network's factory '{name}' is not known here; name its FILE.py or module in {MODELS_VARIABLE}. "
            f"Known are: {', '.join(sorted(_factories))}."
        )
    try:
        return _factories[name](**arguments)
    except TypeError as error:
        raise InputError(f"The factory '{name}' does not make a network of {arguments}: {error}") from error


def check_known_elsewhere(name: str, code: str | None) -> None:
    """Refuse a factory that no other process could find.

    Parameters
    ----------
    name : str
        Of the factory, or a reference to code.
    code : str or None
        SHA-256 of the code behind a reference, which every process finds by itself.

    Raises
    ------
    InputError
        If it is not Telltale's own, and ``TELLTALE_MODELS`` names nothing that could bring it.
    """
    if code is not None:
        return
    own = name in _factories and _factories[name].__module__.startswith("telltale.")
    if not own and not os.environ.get(MODELS_VARIABLE, "").strip():
        raise InputError(
            f"Other processes must find the factory '{name}': name its FILE.py or module in the environment variable "
            f"{MODELS_VARIABLE}."
        )


def load_factories() -> None:
    """Import what ``TELLTALE_MODELS`` names, files and modules separated as in ``PATH``, each of them once.

    Raises
    ------
    InputError
        If one cannot be imported.
    """
    named = [entry.strip() for entry in os.environ.get(MODELS_VARIABLE, "").split(os.pathsep)]
    for entry in named:
        if not entry or entry in _loaded:
            continue
        try:
            import_place(entry)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            raise InputError(f"'{entry}', named in {MODELS_VARIABLE}, cannot be imported: {reason}") from error
        _loaded.add(entry)


def _register(name: str, function: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
    known = _factories.get(name)
    if known is not None and _place(known) != _place(function):
        raise InputError(f"There is another model factory called '{name}'; register this one under another name.")
    signature = inspect.signature(function)

    @functools.wraps(function)
    def factory(*positional: Any, **named: Any) -> nn.Module:
        network = function(*positional, **named)
        bound = signature.bind(*positional, **named)
        bound.apply_defaults()
        arguments, problem = _portable(name, signature, bound.arguments)
        setattr(network, MARK, Origin(name, arguments or {}, problem=problem))
        return network

    _factories[name] = factory
    return factory


def _place(function: Callable[..., object]) -> tuple[str, str]:
    return function.__module__, function.__qualname__


def _portable(
    name: str, signature: inspect.Signature, given: dict[str, Any]
) -> tuple[dict[str, Any] | None, str | None]:
    """Return arguments by name, or why JSON does not give them back."""
    arguments: dict[str, Any] = {}
    for key, value in given.items():
        kind = signature.parameters[key].kind
        if kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.POSITIONAL_ONLY):
            if value:
                return None, f"The factory '{name}' takes '{key}' without a name; only named arguments can be kept."
        elif kind is inspect.Parameter.VAR_KEYWORD:
            arguments |= value
        else:
            arguments[key] = value
    for key, value in arguments.items():
        try:
            same = json.loads(json.dumps(value, allow_nan=False)) == (list(value) if type(value) is tuple else value)
        except (TypeError, ValueError):
            same = False
        if not same:
            return None, f"The argument '{key}' of the factory '{name}' is not JSON: {value!r}."
    return arguments, None
