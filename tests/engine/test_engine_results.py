"""What comes back from the workers: a process that receives it imports the module of its type, and no torch with it."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

from telltale.engine import tasks


def modules_of_results() -> list[str]:
    """Return the modules of the types that tasks say they return."""
    tree = ast.parse(Path(tasks.__file__).read_text())
    returned = {
        name.id
        for function in tree.body
        if isinstance(function, ast.FunctionDef) and function.name in tasks.REGISTRY and function.returns is not None
        for name in ast.walk(function.returns)
        if isinstance(name, ast.Name)
    }
    return sorted(
        line.module
        for line in ast.walk(tree)
        if isinstance(line, ast.ImportFrom) and line.module and returned & {alias.name for alias in line.names}
    )


def test_whoever_receives_a_result_imports_no_torch() -> None:
    modules = modules_of_results()
    assert {"telltale.analysis.class_neighbours", "telltale.kinds.response"} <= set(modules)
    code = f"import sys, {', '.join(modules)}; assert not {{'torch', 'captum', 'umap'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
