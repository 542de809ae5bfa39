"""How results draw and show themselves, without knowing what draws: whoever draws registers here."""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch
from typing import Any


@singledispatch
def figures_of(result: object) -> Any:
    """Return the figures of a result, each a method; `telltale.figures.notebook` registers one for every kind."""
    raise TypeError(f"Nothing draws a {type(result).__name__}.")


@singledispatch
def html_of(result: object) -> str:
    """Return a result as HTML for a notebook; registered as for `figures_of`."""
    raise TypeError(f"Nothing shows a {type(result).__name__}.")


_prepare: list[Callable[[], object]] = []


def drawn_by(prepare: Callable[[], object]) -> None:
    """Say what is to be called before the first result is drawn, so that what draws is there."""
    _prepare[:] = [prepare]


class Displayed:
    """A result that shows itself as the last line of a notebook's cell."""

    def _repr_html_(self) -> str:
        _ready()
        return html_of(self)


class Drawn(Displayed):
    """A result with figures as well."""

    @property
    def figures(self) -> Any:
        """Figures for a notebook, the same as on the pages: ``result.figures.roc()`` and others.

        Raises
        ------
        InputError
            If the bundle behind the result is not at hand.
        """
        _ready()
        return figures_of(self)


def _ready() -> None:
    """Import what draws; again each time, so that no thread goes on while another is still importing it."""
    for prepare in _prepare:
        prepare()
