"""What README and docs tell people to type exists, and so does every file they name."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

from telltale.cli.program import program

ROOT = Path(__file__).resolve().parents[2]
TOP = [ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "SECURITY")]
DOCUMENTS = sorted([*TOP, *(ROOT / "docs").rglob("*.md")])
# Files that the guides tell their reader to write.
EXAMPLES = {
    "app/.streamlit/secrets.toml",
    "core/telltale/attacks/methods/sign_step.py",
    "core/telltale/detectors/class_distance.py",
    "core/telltale/detectors/suspicions/class_distance.py",
    "core/telltale/kinds/mirroring.py",
    "core/telltale/figures/results/mirroring.py",
    "app/telltale_app/app_pages/mirroring.py",
}
FENCE = re.compile(r"^ *```[a-z]*\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
NAMED = re.compile(r"`((?:app|assets|core|docs|precomputed|tests)/[\w./-]*)`")
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")


def typed_lines(text: str) -> list[str]:
    """Return the lines of all fenced blocks and the code within sentences, without comments."""
    fenced = [line for block in FENCE.findall(text) for line in block.splitlines()]
    within = re.findall(r"`([^`\n]+)`", FENCE.sub("", text))
    return [line.split("  #")[0].split("   ")[0].strip() for line in (*(part.strip() for part in fenced), *within)]


def commands(document: Path) -> list[str]:
    lines = (re.sub(r"^(?:[A-Z_]+=\S+ )+", "", line) for line in typed_lines(document.read_text()))
    return [line for line in lines if line.startswith("telltale ") and "[" not in line and "…" not in line]


COMMANDS = [(document.relative_to(ROOT).as_posix(), line) for document in DOCUMENTS for line in commands(document)]


def refuse(line: str) -> str | None:
    """Return why the command line does not take `line`; nothing is run."""
    group = get_command(program)
    try:
        context = group.make_context("telltale", shlex.split(line)[1:], resilient_parsing=False)
        arguments = [*context._protected_args, *context.args]
        while arguments:
            name, group, arguments = group.resolve_command(context, arguments)  # type: ignore[attr-defined]
            context = group.make_context(name, arguments, parent=context)
            arguments = [*context._protected_args, *context.args]
    except Exception as error:
        return repr(error)
    return None


def test_these_checks_can_fail() -> None:
    assert (
        refuse("telltale dance") and refuse("telltale analyse a.png --colour red") and refuse("telltale cases import")
    )
    assert refuse("telltale analyse a.png --json") is None
    assert len(COMMANDS) > 30


@pytest.mark.parametrize(("document", "line"), COMMANDS)
def test_a_printed_command_is_taken(document: str, line: str) -> None:
    assert refuse(line) is None, document


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_file_that_is_named_is_there(document: Path) -> None:
    text = document.read_text()
    named = {name for name in NAMED.findall(text) if "NAME" not in name and not (ROOT / name).exists()} - EXAMPLES
    linked = {link for link in LINK.findall(text) if not (document.parent / link).exists()}
    assert (named, linked) == (set(), set())


def test_the_readme_starts_with_the_two_commands_which_the_makefile_knows() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    assert [line.split("#")[0].strip() for line in lines[:4]] == ["```sh", "make app", "make test", "```"]
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    typed = [line for document in DOCUMENTS for line in typed_lines(document.read_text()) if line.startswith("make ")]
    assert {"app", "test"} <= {word for line in typed for word in line.split()[1:] if "=" not in word} <= targets
