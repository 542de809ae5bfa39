"""The rooms stand on each other in one direction: import-linter's contracts, and a search of our own for circles."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {"telltale": ROOT / "core", "telltale_app": ROOT / "app"}
LINTER = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"

Graph = Mapping[str, set[str]]


def name_of(path: Path, root: Path) -> str:
    """Return the dotted name of a module, given the folder in which its top-level package lies."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(source: str, module: str, is_package: bool) -> Iterator[str]:
    """Yield every name that a module imports, wherever the statement stands: in a function, under TYPE_CHECKING."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            home = module.split(".")[: len(module.split(".")) - node.level + is_package] if node.level else []
            base = ".".join([*home, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def resolved(name: str, modules: set[str]) -> str | None:
    """Return the module that a name lies in: itself, or the module that defines it."""
    while name and name not in modules:
        name = name.rpartition(".")[0]
    return name or None


def graph_of(sources: Mapping[str, tuple[str, bool]]) -> dict[str, set[str]]:
    """Return which modules each module imports, among themselves; a package's own file is the package's name."""
    modules = set(sources)
    found = {
        module: {resolved(name, modules) for name in imported(text, module, is_package)}
        for module, (text, is_package) in sources.items()
    }
    # A package that hands on what its modules define is loaded with them, so a module's own package is no circle.
    return {
        module: {name for name in names if name and name != module and not module.startswith(f"{name}.")}
        for module, names in found.items()
    }


def circles(graph: Graph) -> list[list[str]]:
    """Return the groups of modules that reach each other, by removing again and again what nothing holds back."""
    left = {module: set(names) for module, names in graph.items()}
    reached: dict[str, set[str]] = {}
    for module in left:
        seen: set[str] = set()
        pending = [module]
        while pending:
            fresh = left.get(pending.pop(), set()) - seen
            seen |= fresh
            pending += fresh
        reached[module] = seen
    groups = {frozenset(other for other in reached[m] if m in reached[other]) for m in left if m in reached[m]}
    return sorted(sorted(group) for group in groups)


def sources() -> dict[str, tuple[str, bool]]:
    return {
        name_of(path, root): (path.read_text(), path.name == "__init__.py")
        for package, root in PACKAGES.items()
        for path in sorted((root / package).rglob("*.py"))
    }


def test_every_contract_of_import_linter_is_kept() -> None:
    done = subprocess.run([sys.executable, "-c", LINTER], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " kept, 0 broken." in done.stdout


def test_no_module_imports_itself_by_whatever_way() -> None:
    graph = graph_of(sources())
    assert len(graph) > 100 and sum(map(len, graph.values())) > len(graph), "the modules were not found"
    assert circles(graph) == []


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        ({"p": "", "p.a": "from p.b import x", "p.b": "x = 1"}, []),
        ({"p": "", "p.a": "from p.b import x", "p.b": "def f():\n    import p.a"}, [["p.a", "p.b"]]),
        (
            {
                "p": "",
                "p.a": "from . import b",
                "p.b": "from .c import y",
                "p.c": "if TYPE_CHECKING:\n    from p import a",
            },
            [["p.a", "p.b", "p.c"]],
        ),
        ({"p": "from p.a import x", "p.a": "x = 1", "p.q": "from p.q.m import z", "p.q.m": "from p.a import x"}, []),
        (
            {"p": "", "p.q": "from p.q.m import z", "p.q.m": "import p.r", "p.r": "from p.q import z"},
            [["p.q", "p.q.m", "p.r"]],
        ),
    ],
    ids=["a line", "inside a function", "relative, under TYPE_CHECKING", "a package's own names", "through a package"],
)
def test_a_circle_is_found_where_there_is_one(sources: dict[str, str], expected: list[list[str]]) -> None:
    packages = {name for name in sources if any(other.startswith(f"{name}.") for other in sources)}
    assert circles(graph_of({name: (text, name in packages) for name, text in sources.items()})) == expected
