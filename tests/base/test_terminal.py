"""Output that cannot hold every character: something readable stands in its place, and nothing ends because of it."""

from __future__ import annotations

import ast
import io
import sys
from pathlib import Path

import pytest

from telltale.base import terminal

CORE = Path(__file__).resolve().parents[2] / "core"
ENCODINGS = ("ascii", "latin-1", "cp1252", "utf-8")


def shown(text: str) -> set[str]:
    return {character for character in text if not character.isascii()}


def written_in_core() -> set[str]:
    """Return every character beyond ASCII that stands in a text of the library."""
    found: set[str] = set()
    for path in CORE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found |= shown(node.value)
    return found


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(
    "text",
    ["0.91–0.95 … ∞ ε ≥ α · é ½ 10² “a”", "".join(map(chr, (0, 0x20AC, 0x4E2D, 0x1F600, 0x10FFFF))), "caf\udce9.png"],
    ids=["this project's", "anybody's", "a file name that is no text"],
)
def test_every_text_can_be_written_in_every_encoding(encoding: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    terminal.hold_every_character()
    for stream in (sys.stdout, sys.stderr):
        stream.write(text + "\n")
        stream.flush()
        held = (
            character if character.encode(encoding, "ignore") else terminal.readable(character) for character in text
        )
        assert stream.buffer.getvalue().decode(encoding) == "".join(held) + "\n"


def test_what_stands_in_its_place_can_be_read() -> None:
    assert terminal.readable("0.91–0.95 … ∞ ε ≥ 10² é ﬁ 中 \udce9") == "0.91-0.95 ... inf eps >= 102 e fi ? ?"
    assert terminal.readable("plain") == "plain"


def test_the_library_writes_no_character_without_a_stand_in_but_marks_of_charts() -> None:
    without = {character for character in written_in_core() if terminal.readable(character) == terminal.UNKNOWN}
    assert without == {"●", "▲", "▼", "◆", "■", "★", "\ufeff", "Π"}, (
        "the shapes of points, a byte-order mark, a product in a docstring"
    )


def test_a_stream_that_somebody_put_in_place_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    terminal.hold_every_character()
    sys.stdout.write("…")
    assert stream.getvalue() == "…"


def test_only_a_failure_to_write_is_helped() -> None:
    with pytest.raises(UnicodeDecodeError):
        b"\xff".decode("utf-8", terminal.ERRORS)


def test_brackets_and_colons_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.plain_console().print("a [/b] class [bold]cat[/bold] :cat:", soft_wrap=True)
    assert capsys.readouterr().out == "a [/b] class [bold]cat[/bold] :cat:\n"
