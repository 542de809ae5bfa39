"""What differs between two drawn pages: the place, the field, inside figures the very number, expected and got."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from support.drawn_page import Leaf, Page, place

MISSING = "(nothing)"
LONGEST = 300
DTYPES = {"f8": "<f8", "f4": "<f4", "i1": "i1", "u1": "u1", "i2": "<i2", "u2": "<u2", "i4": "<i4", "u4": "<u4"}


@dataclass(frozen=True)
class Difference:
    """One difference.

    Attributes
    ----------
    page : str
        The page's part of the address.
    path : str
        Where on the page, and what of it.
    expected, got : str
    """

    page: str
    path: str
    expected: str
    got: str

    def __str__(self) -> str:
        """Return it in four lines."""
        lines = (f"page {self.page or '(workbench)'}", self.path, f"expected {self.expected}", f"got      {self.got}")
        return "\n  ".join(lines)


def differences(page: str, expected: Page, got: Page) -> Iterator[Difference]:
    """Yield every difference between two pages, none where they are the same to the last bit."""
    for path in sorted(expected.parts.keys() | got.parts.keys()):
        left, right = expected.parts.get(path), got.parts.get(path)
        if left == right:
            continue
        for name in sorted((left or {}).keys() | (right or {}).keys()):
            for within, *pair in _apart((left or {}).get(name), (right or {}).get(name)):
                yield Difference(page, f"{place(path)} {name}{within}", *pair)


def _apart(left: Leaf | None, right: Leaf | None) -> Iterator[tuple[str, str, str]]:
    """Yield (where inside a field, expected, got)."""
    if left == right:
        return
    one, other = _parsed(left), _parsed(right)
    if one is None or other is None:
        yield "", _short(left), _short(right)
    else:
        yield from _apart_inside(one, other, "")


def _parsed(leaf: Leaf | None) -> Any:
    """Return what a field that holds JSON says, its numbers as they are written; None for every other field."""
    if not isinstance(leaf, str) or leaf[:1] not in ("{", "["):
        return None
    try:
        return json.loads(leaf, parse_float=str, parse_int=str)
    except ValueError:
        return None


def _apart_inside(left: Any, right: Any, where: str) -> Iterator[tuple[str, str, str]]:
    if left == right:
        return
    if isinstance(left, dict) and isinstance(right, dict):
        numbers = _numbers(left), _numbers(right)
        if numbers[0] is not None and numbers[1] is not None:
            yield from _apart_numbers(*numbers, where)
            return
        for key in sorted(left.keys() | right.keys()):
            yield from _apart_inside(left.get(key), right.get(key), f"{where}/{key}")
    elif isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        for index, pair in enumerate(zip(left, right, strict=True)):
            yield from _apart_inside(*pair, f"{where}/{index}")
    else:
        yield where, _short(left), _short(right)


def _numbers(part: dict[str, Any]) -> np.ndarray[Any, Any] | None:
    """Return the numbers of an array that Plotly has packed; None for every other part of a figure."""
    if not {"bdata", "dtype"} <= part.keys():
        return None
    return np.frombuffer(base64.b64decode(part["bdata"]), DTYPES[part["dtype"]])


def _apart_numbers(
    left: np.ndarray[Any, Any], right: np.ndarray[Any, Any], where: str
) -> Iterator[tuple[str, str, str]]:
    if left.shape != right.shape or left.dtype != right.dtype:
        yield where, f"{left.dtype} {left.shape}", f"{right.dtype} {right.shape}"
        return
    apart = np.flatnonzero(left.view(f"V{left.itemsize}") != right.view(f"V{right.itemsize}"))
    for index in apart.tolist():
        yield f"{where}/{index}", repr(left[index].item()), repr(right[index].item())
    if not len(apart):
        yield where, "another shape", "of the same numbers"


def _short(value: Any) -> str:
    if value is None:
        return MISSING
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text)} characters)"
