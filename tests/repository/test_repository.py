"""Rules that hold for the source as a whole, each with the harm that breaking it does."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from support.source_tree import ROOT, calls, imports, offenders, sources, tree

COMPUTING = {"torch", "torchvision", "captum", "torchattacks", "foolbox"}


def imports_at_load(module: ast.Module) -> Iterator[str]:
    """Yield what importing the module imports: functions and ``if TYPE_CHECKING`` blocks are left out."""
    pending: list[ast.AST] = list(module.body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from imports(node)
        elif isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            pending += node.orelse
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            pending += ast.iter_child_nodes(node)


def test_these_rules_can_fail() -> None:
    module = ast.parse(
        "import torch.nn as nn\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import captum\n"
        "def f():\n    from streamlit import image\n    st.image(x)\nclass A:\n    import pickle\n"
    )
    assert set(imports(module)) == {"torch", "typing", "captum", "streamlit", "pickle"}
    assert set(imports_at_load(module)) == {"torch", "typing", "pickle"}
    assert [name for name, _ in calls(module)] == ["st.image"]


def test_the_library_knows_nothing_of_the_pages() -> None:
    # Notebooks and the command line use the library without a browser.
    assert not offenders({path: {"streamlit", "telltale_app"} & set(imports(tree(path))) for path in sources("core")})


def test_pages_compute_nothing() -> None:
    # Torch in the server process would be shared by sessions, whose hooks corrupt each other's gradients unnoticed.
    # A type annotation needs no torch at run time, so TYPE_CHECKING blocks are allowed.
    found = {}
    for path in sources("app"):
        inside = (node for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
        found[path] = COMPUTING & {*imports_at_load(tree(path)), *(name for node in inside for name in imports(node))}
    assert not offenders(found)


def test_the_engine_imports_no_torch_at_load() -> None:
    assert not offenders(
        {path: COMPUTING & set(imports_at_load(tree(path))) for path in sources("core/telltale/engine")}
    )


def test_every_image_goes_through_the_lossless_helper() -> None:
    # st.image turns arrays into JPEG, which shows a perturbation of 1/255 as up to 7/255.
    def bare(path: Path) -> set[str]:
        return {name for name, _ in calls(tree(path)) if name.endswith(".image") and not name.startswith("self.")}

    shown = [path for path in sources("app") if path != ROOT / "app" / "telltale_app" / "pictures.py"]
    assert not offenders({path: bare(path) for path in shown})
    direct = {path: re.findall(r"from streamlit import .*\bimage\b", path.read_text()) for path in shown}
    assert not offenders({path: set(lines) for path, lines in direct.items()})


def test_pages_do_no_mathematics() -> None:
    found = {path: {"scipy", "sklearn"} & set(imports(tree(path))) for path in sources("app")}
    assert not offenders(found)
    assert not [path for path in sources("app") if "np.linalg" in path.read_text()]


def test_what_tests_share_stands_in_support_and_no_test_file_imports_another() -> None:
    # Fixtures under a second name run twice, and a file that moves breaks tests that are not about it.
    files = sources("tests")
    tests = {path.stem for path in files if path.name.startswith(("test_", "conftest"))}
    assert not offenders({path: tests & set(imports(tree(path))) for path in files})
    helpers = {path.stem for path in sources("tests/support")}
    assert not offenders({path: helpers & set(imports(tree(path))) for path in files}), "from support.x import y"


def test_no_deprecated_width_argument() -> None:
    for path in sources("app"):
        assert "use_container_width" not in path.read_text(), path


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_requirement_is_pinned_exactly_on_a_line_of_its_own(name: str) -> None:
    lines = (ROOT / name).read_text().splitlines()
    packages = [line for line in lines if line != "-r requirements.txt"]
    assert all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*==[0-9][0-9A-Za-z.]*", line) for line in packages), lines
    assert len({line.partition("==")[0].lower() for line in packages}) == len(packages)


def test_every_package_that_is_imported_is_required() -> None:
    known = packages_distributions()
    required = {line.partition("==")[0].lower() for line in (ROOT / "requirements.txt").read_text().splitlines()}
    imported = {name for path in sources("core", "app") for name in imports(tree(path))}
    foreign = imported - set(sys.stdlib_module_names) - {"telltale", "telltale_app", "tests"}
    missing = {name for name in foreign if not required & {owner.lower() for owner in known.get(name, [])}}
    assert not missing


def test_the_readme_starts_with_the_two_commands() -> None:
    blocks = re.findall(r"```[a-z]*\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    words = [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]
    assert [word for word in words if word.startswith("make")][:2] == ["make app", "make test"]


def test_the_procfile_serves_the_address_that_the_host_gives() -> None:
    process, _, command = (ROOT / "Procfile").read_text().strip().partition(": ")
    assert process == "web"
    for part in ("app/server.py", "--server.port $PORT", "--server.address 0.0.0.0", "--server.headless true"):
        assert part in command


def test_continuous_integration_can_be_run() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert "set -euo pipefail" in script.read_text()
    assert script.read_text().rstrip().endswith("make test")
    assert "- run: .ci/run\n" in (ROOT / ".github" / "workflows" / "ci.yml").read_text()


def test_the_hooks_before_a_commit_are_checks_of_make_test_and_fetch_nothing() -> None:
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    assert re.findall(r"repo: (\S+)", hooks) == ["local"]
    checks = (ROOT / "Makefile").read_text()
    entries = re.findall(r"entry: \.venv/bin/(.+)", hooks)
    assert len(entries) == 4
    assert all(f"$(BIN)/{entry.removesuffix(' --force-exclude')}" in checks for entry in entries)
