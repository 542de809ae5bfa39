"""Text for a terminal, or a file in its place, that may not hold every character."""

from __future__ import annotations

import codecs
import io
import sys
import unicodedata

from rich.console import Console

ERRORS = "telltale.readable"  # as text streams name what they do with a character that they cannot hold
UNKNOWN = "?"
# What says the same in ASCII; accents and small figures are taken off by Unicode's own tables.
READABLE = {
    "…": "...",
    "–": "-",
    "−": "-",
    "×": "x",
    "·": "-",
    "‖": "||",
    "∞": "inf",
    "±": "+-",
    "≠": "!=",
    "≥": ">=",
    "≤": "<=",
    "“": '"',
    "”": '"',
    "‘": "'",
    "’": "'",
    "½": "1/2",
    "α": "alpha",
    "β": "beta",
    "γ": "gamma",
    "δ": "delta",
    "Δ": "Delta",
    "ε": "eps",
    "θ": "theta",
    "κ": "kappa",
    "σ": "sigma",
    "→": "->",
    "↑": "^",
    "↓": "v",
}


def plain_console(*, stderr: bool = False) -> Console:
    """Return a console that prints what it is given: brackets and colons in names and notes are not its commands."""
    return Console(stderr=stderr, markup=False, emoji=False)


def hold_every_character() -> None:
    """Let stdout and stderr replace what their encoding lacks, instead of ending the command that writes it.

    Streams that something else has put in their place, as notebooks do, stay as they are.
    """
    codecs.register_error(ERRORS, _replace)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ERRORS)


def readable(text: str) -> str:
    """Return ASCII that says the same, as nearly as ASCII can."""
    return "".join(READABLE.get(character) or _plain(character) for character in text)


def _replace(error: UnicodeError) -> tuple[str, int]:
    """Serve as `codecs` asks of an error handler."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return readable(error.object[error.start : error.end]), error.end


def _plain(character: str) -> str:
    parts = unicodedata.normalize("NFKD", character)
    return "".join(part for part in parts if part.isascii()) or UNKNOWN
