"""The source as trees: what a file imports, and every name in it spelled in full."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def sources(*folders: str) -> list[Path]:
    found = {folder: sorted((ROOT / folder).rglob("*.py")) for folder in folders}
    assert all(found.values()), "a rule about no file at all holds always"
    return [path for files in found.values() for path in files]


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def imports(node: ast.AST) -> Iterator[str]:
    """Yield the top-level package of every import under `node`."""
    for child in ast.walk(node):
        if isinstance(child, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and child.level == 0 and child.module:
            yield child.module.partition(".")[0]


def modules(node: ast.AST) -> Iterator[str]:
    """Yield everything that is imported under `node` by its full name: ``numpy.linalg``, ``torch.load``."""
    for child in ast.walk(node):
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and child.level == 0 and child.module:
            yield from (f"{child.module}.{alias.name}" for alias in child.names)


def calls(node: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Yield every call with its dotted name."""
    for child in ast.walk(node):
        if isinstance(child, ast.Call):
            yield ast.unparse(child.func), child


def spelled(node: ast.AST, expression: ast.AST) -> str:
    """Return a name in full, whatever the file calls its imports: ``np.load`` is ``numpy.load``."""
    first, dot, rest = _dotted(expression).partition(".")
    return _given_names(node).get(first, first) + dot + rest


def names_read(node: ast.AST) -> Iterator[str]:
    """Yield every name that is read under `node`, called or not, in full."""
    for child in ast.walk(node):
        if isinstance(child, ast.Name | ast.Attribute) and isinstance(child.ctx, ast.Load):
            yield spelled(node, child)


def _dotted(expression: ast.AST) -> str:
    """Return a name with its dots; what is no name, such as a call, is empty."""
    if isinstance(expression, ast.Attribute):
        return f"{_dotted(expression.value)}.{expression.attr}"
    return expression.id if isinstance(expression, ast.Name) else ""


@cache
def _given_names(node: ast.AST) -> dict[str, str]:
    given = {}
    for child in ast.walk(node):
        if isinstance(child, ast.Import):
            given |= {alias.asname: alias.name for alias in child.names if alias.asname}
        elif isinstance(child, ast.ImportFrom) and child.level == 0 and child.module:
            given |= {alias.asname or alias.name: f"{child.module}.{alias.name}" for alias in child.names}
    return given


def offenders(found: dict[Path, set[str]]) -> dict[str, set[str]]:
    return {str(path.relative_to(ROOT)): names for path, names in found.items() if names}
