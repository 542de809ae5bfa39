"""The examples in the docstrings of the public names, and the guide's longer one, run."""

from __future__ import annotations

import doctest
import re
import sys
from pathlib import Path

import pytest

import telltale
import telltale.building.build
from telltale.base.places import PRECOMPUTED
from telltale.base.progress import Progress
from telltale.bundle.bundle import Bundle
from telltale.models.classifier import Classifier
from telltale.recipes import BundlePlan

ROOT = Path(__file__).resolve().parents[2]
NAMES = [name for name in telltale.__all__ if name != "app"]  # which starts a server; tests/cli does
PYTHON = re.compile(r"^```python\n# (\w+\.py)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def failures(name: str) -> tuple[int, int]:
    """Return how many examples of a public name there are, and how many print something else than they say."""
    runner = doctest.DocTestRunner()
    for test in doctest.DocTestFinder(recurse=False).find(getattr(telltale, name), name, module=False, globs={}):
        runner.run(test)
    return runner.tries, runner.failures


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, BundlePlan]]:
    """Leave a shipped bundle in place of what the stages of a build would, which take minutes; say what was asked."""
    seen = []

    def stages(
        classifier: Classifier, plan: BundlePlan, folder: Path, progress: Progress, minutes: float | None
    ) -> Path:
        seen.append((classifier.spec.factory, plan))
        folder.symlink_to(PRECOMPUTED / "digits")
        return folder

    monkeypatch.setattr(telltale.building.build, "build_around", stages)
    return seen


@pytest.mark.parametrize("name", NAMES)
def test_the_example_of_a_public_name_runs(name: str) -> None:
    tries, failed = failures(name)
    assert tries > 1 and failed == 0


def test_an_example_that_is_wrong_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bundle, "image_shape", (3, 32, 32))
    assert failures("load_bundle")[1] == 1


def test_the_guide_to_a_network_of_ones_own_runs(
    asked: list[tuple[str, BundlePlan]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = dict(PYTHON.findall((ROOT / "docs/own-model.md").read_text()))
    assert set(files) == {"my_networks.py", "build_mine.py"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("TELLTALE_MODELS", "my_networks.py")
    try:
        exec(compile(files["build_mine.py"], "build_mine.py", "exec"), {"__name__": "__main__"})
    finally:
        sys.modules.pop("my_networks", None)
    ((factory, plan),) = asked
    assert (factory, plan.name, plan.source) == ("two_convolutions", "my-digits", "digits")
    assert [attack.name for attack in plan.attacks] == ["fgsm"] and plan.detectors == ("knn_score", "lid")
