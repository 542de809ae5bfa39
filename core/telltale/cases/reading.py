"""Reading a case's JSON from a stranger: its schema is the dataclasses of `telltale.cases.record`, and nothing else."""

from __future__ import annotations

import json
import math
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, Literal, NoReturn, Union, get_args, get_origin, get_type_hints

from telltale.base.errors import InputError
from telltale.cases.record import FORMAT, VERSION, CaseRecord

LONGEST_TEXT = 20_000
MOST_ITEMS = 2_000
LARGEST_WHOLE = 2**63


def read_record(text: str | bytes) -> CaseRecord:
    """Read `CaseRecord.to_json` from untrusted text.

    Raises
    ------
    InputError
        If it is no JSON, of another format or version, or any part is missing, unknown, of another type, not finite
        or too long; the message names the part.
    """
    return record_from(_parse(text))


def record_from(value: object) -> CaseRecord:
    """Read a record from parsed JSON; see `read_record`."""
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise InputError(f'This is no saved case: its JSON lacks "format": "{FORMAT}".')
    if value.get("version") != VERSION or isinstance(value.get("version"), bool):
        raise InputError(f"This case is of another version; this program reads version {VERSION}.")
    rest = {key: item for key, item in value.items() if key not in ("format", "version")}
    record: CaseRecord = _read(CaseRecord, rest, "the case")
    return record


def _parse(text: str | bytes) -> object:
    def refuse(constant: str) -> NoReturn:
        raise ValueError(constant)

    try:
        return json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise InputError("The case's JSON cannot be read.") from error


def _read(kind: Any, value: object, where: str) -> Any:
    """Return `value` as an object of type `kind`, which is a dataclass or one of the types that its fields have."""
    origin = get_origin(kind)
    if is_dataclass(kind):
        return _read_dataclass(kind, value, where)
    if origin in (Union, types.UnionType):
        return _read_union(get_args(kind), value, where)
    if origin is tuple:
        items = value if isinstance(value, list) and len(value) <= MOST_ITEMS else _wrong(where)
        return tuple(_read(get_args(kind)[0], item, f"{where}[{i}]") for i, item in enumerate(items))
    if origin is dict:
        given = value if isinstance(value, dict) and len(value) <= MOST_ITEMS else _wrong(where)
        return {
            _text(name, where): _read(get_args(kind)[1], item, f"{where}.{name[:40]}") for name, item in given.items()
        }
    if origin is Literal:
        return value if isinstance(value, str) and value in get_args(kind) else _wrong(where)
    return _read_plain(kind, value, where)


def _read_dataclass(kind: Any, value: object, where: str) -> Any:
    given = value if isinstance(value, dict) else _wrong(where)
    hints = _hints(kind)
    names = [field.name for field in fields(kind)]
    missing, unknown = [n for n in names if n not in given], [n for n in given if n not in names]
    if missing:
        raise InputError(f"The case is incomplete: {where} lacks '{missing[0]}'.")
    if unknown:
        raise InputError(f"The case holds something unknown: {where} has '{unknown[0][:40]}'.")
    return kind(**{name: _read(hints[name], given[name], f"{where}.{name}") for name in names})


def _read_union(kinds: tuple[Any, ...], value: object, where: str) -> Any:
    """Read an optional value, or the first plain type that fits exactly."""
    if value is None and type(None) in kinds:
        return None
    others = [kind for kind in kinds if kind is not type(None)]
    if len(others) == 1:
        return _read(others[0], value, where)
    exact = [kind for kind in others if type(value) is kind or value in get_args(kind)]
    return _read(exact[0], value, where) if exact else _wrong(where)


def _read_plain(kind: Any, value: object, where: str) -> Any:
    if kind is str:
        return _text(value, where)
    if kind is bool:
        return value if isinstance(value, bool) else _wrong(where)
    if kind is int:
        whole = isinstance(value, int) and not isinstance(value, bool) and -LARGEST_WHOLE < value < LARGEST_WHOLE
        return value if whole else _wrong(where)
    if kind is float:
        number = isinstance(value, int | float) and not isinstance(value, bool) and _is_finite(value)
        return float(value) if number and isinstance(value, int | float) else _wrong(where)
    assert kind is datetime
    return _read_time(value, where)


def _read_time(value: object, where: str) -> datetime:
    try:
        moment = datetime.fromisoformat(_text(value, where))
        return moment.astimezone(UTC) if moment.tzinfo is not None else _wrong(where)
    except (ValueError, OverflowError):
        _wrong(where)


def _text(value: object, where: str) -> str:
    """Return text that every store can hold: not too long, without control characters or lone surrogates."""
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        _wrong(where)
    return value if storable(value) == value else _wrong(where)


def storable(text: str) -> str:
    """Return text without what some stores refuse: control characters and lone surrogates."""
    return "".join(
        c for c in text if (ord(c) >= 32 or c in "\n\t") and ord(c) != 127 and not 0xD800 <= ord(c) <= 0xDFFF
    )


def _is_finite(value: int | float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _wrong(where: str) -> NoReturn:
    raise InputError(f"The case cannot be read: {where} is not what it should be.")


@cache
def _hints(kind: Any) -> Mapping[str, Any]:
    return get_type_hints(kind)
