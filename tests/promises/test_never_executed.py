"""What is read is never taken for a program: no pickle, no text as code, no shell, no code that comes with a model.

By the syntax tree of every file of the library and the pages, whatever names its imports go by.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.source_tree import ROOT, calls, modules, names_read, offenders, sources, spelled, tree
from telltale.base.errors import InputError
from telltale.building.inspecting.settings_file import read_settings

CORE = ROOT / "core" / "telltale"

READERS_THAT_RUN = {
    *("pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve", "marshal", "jsonpickle"),
    *("pickletools", "dumbdbm", "runpy", "code", "codeop", "imp", "pty", "commands", "builtins", "torch.package"),
}
NAMES_THAT_RUN = {
    *("eval", "exec", "compile", "__import__", "os.system", "os.popen", "os.startfile", "os.posix_spawn"),
    *("subprocess.getoutput", "subprocess.getstatusoutput", "torch.save", "torch.jit.load", "torch.export.load"),
    *("torch.load", "torch.serialization.load", "numpy.lib.format.read_array", "importlib.import_module"),
    *("yaml.load", "yaml.load_all", "yaml.full_load", "yaml.unsafe_load", "pandas.read_pickle", "pandas.eval"),
}
FAMILIES_THAT_RUN = (
    "os.exec",
    "os.spawn",
    "torch.hub.",
    "asyncio.create_subprocess_shell",
    "distributed.protocol.pickle",
)
METHODS_THAT_RUN = {"read_pickle", "to_pickle", "exec_module", "load_module", "PickleType", "loads_pickle"}
MUST_BE_FALSE = {"shell", "allow_pickle", "trust_remote_code"}

ALLOWED = {
    # Code that the owner of the machine has named: a file of his, and a module of his.
    CORE / "models" / "importing.py": {"exec", "compile", "importlib.import_module"},
    # Public names, and tasks of the engine's own list; both are texts of this source.
    CORE / "__init__.py": {"importlib.import_module"},
    CORE / "engine" / "worker_state.py": {"importlib.import_module"},
    # Weights alone, of files that the owner names on a command line; see the next rule.
    CORE / "models" / "state_files.py": {"torch.load"},
}
WHO_IMPORTS_BY_NAME = {
    "telltale.models.importing": {"models/code.py", "models/factories.py"},
    "telltale.models.code.name_code": {"models/references.py"},
}


def is_false(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is False


def what_runs(module: ast.AST) -> set[str]:
    """Return everything in a file by which data could become a program."""
    return {*_imported(module), *_named(module), *_called(module)}


def _imported(module: ast.AST) -> Iterator[str]:
    for name in modules(module):
        yield from (bad for bad in READERS_THAT_RUN if name == bad or name.startswith(f"{bad}."))


def _named(module: ast.AST) -> Iterator[str]:
    for name in names_read(module):
        if name in NAMES_THAT_RUN or name.startswith(FAMILIES_THAT_RUN):
            yield name
        if name.rpartition(".")[2] in METHODS_THAT_RUN:
            yield name.rpartition(".")[2]


def _called(module: ast.AST) -> Iterator[str]:
    for name, call in calls(module):
        yield from (f"{word.arg}=" for word in call.keywords if word.arg in MUST_BE_FALSE and not is_false(word.value))
        if name.endswith(".eval") and (call.args or call.keywords):  # a network's own takes nothing
            yield ".eval(…)"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import pickle", {"pickle"}),
        ("def f():\n from joblib import load", {"joblib"}),
        ("import torch.package", {"torch.package"}),
        ("from torch import package", {"torch.package"}),
        ("import multiprocessing.pool", set()),
        ("eval(x)", {"eval"}),
        ("list(map(eval, x))", {"eval"}),
        ("run = exec", {"exec"}),
        ("class A:\n def eval(self): pass\nnetwork.eval()", set()),
        ("frame.eval(x)", {".eval(…)"}),
        ("import re\nre.compile(x)", set()),
        ("import torch as t\nt.load(x, weights_only=True)", {"torch.load"}),
        ("from torch import load as read\nread(x)", {"torch.load"}),
        ("from torch.hub import load\nload(x)", {"torch.hub.load"}),
        ("import yaml\nyaml.load(x)", {"yaml.load"}),
        ("import yaml\nyaml.safe_load(x)", set()),
        ("import os\nos.system(x)", {"os.system"}),
        ("from os import execv\nexecv(x)", {"os.execv"}),
        ("import subprocess as s\ns.run(x, shell=True)", {"shell="}),
        ("import subprocess\nsubprocess.run(x, shell=chosen)", {"shell="}),
        ("import subprocess\nsubprocess.run(x, shell=False)", set()),
        ("import numpy as np\nnp.load(x, allow_pickle=True)", {"allow_pickle="}),
        ("import numpy as np\nnp.load(x, allow_pickle=False)", set()),
        ("A.from_pretrained(x, trust_remote_code=mine)", {"trust_remote_code="}),
        ("frame.to_pickle(x)", {"to_pickle"}),
        ("from importlib import import_module\nimport_module(x)", {"importlib.import_module"}),
        ("import sqlalchemy as sa\nsa.PickleType", {"PickleType"}),
    ],
)
def test_these_rules_see_what_they_are_for(text: str, found: set[str]) -> None:
    assert what_runs(ast.parse(text)) == found


def test_nothing_that_is_read_can_run() -> None:
    found = {path: what_runs(tree(path)) for path in sources("core", "app")}
    assert not offenders({path: names - ALLOWED.get(path, set()) for path, names in found.items()})
    assert {path: found[path] for path in ALLOWED} == ALLOWED, "what needs no leave any more has none"


def test_torch_reads_weights_alone() -> None:
    module = tree(CORE / "models" / "state_files.py")
    loads = [call for _, call in calls(module) if spelled(module, call.func) == "torch.load"]
    words = [word.value for call in loads for word in call.keywords if word.arg == "weights_only"]
    assert len(loads) == len(words) == 1
    assert isinstance(words[0], ast.Constant) and words[0].value is True


def test_code_by_name_is_run_by_what_asks_who_has_named_it_and_nothing_else() -> None:
    for wanted, known in WHO_IMPORTS_BY_NAME.items():
        importers = {
            path.relative_to(CORE).as_posix()
            for path in sources("core")
            if any(name == wanted or name.startswith(f"{wanted}.") for name in modules(tree(path)))
        }
        assert importers == known, wanted
    assert not [path for path in sources("app") if any("telltale.models.importing" in n for n in modules(tree(path)))]


SETTINGS = """
[model]
reference = {reference}
{more}

[data]
source = "photos/"
"""


def test_a_strangers_file_of_settings_is_no_naming(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from telltale.base.files import file_sha256

    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("TELLTALE_MODELS", raising=False)
    code, trace, file = tmp_path / "stranger.py", tmp_path / "ran", tmp_path / "shop.toml"
    code.write_text(f"open({str(trace)!r}, 'w')\ndef make(): ...\n")
    reference = repr(f"{code}:make")
    file.write_text(SETTINGS.format(reference=reference, more=""))
    with pytest.raises(InputError, match="code_sha256"):
        read_settings(file)
    file.write_text(SETTINGS.format(reference=reference, more=f'code_sha256 = "{file_sha256(code)}"'))
    with pytest.raises(InputError, match="nobody has named on this machine"):
        read_settings(file).find()
    assert not trace.exists()
