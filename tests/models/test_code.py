"""Networks from code that is named where Telltale is run, and from no other."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

import telltale
from telltale.base.errors import InputError
from telltale.models.classifier import Classifier
from telltale.models.code import is_code, make_again, name_code
from telltale.models.factories import made_by
from telltale.models.spec import ClassifierSpec
from telltale.models.weights import load_weights, save_weights

SHOP = """
from torch import nn

def make(width=4, **named):
    return nn.Sequential(nn.Conv2d(3, width, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 3))

def needs(width):
    return make(width)

def number():
    return 7

def broken():
    raise RuntimeError("no weights here")

marker = nn.Identity()
"""


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("TELLTALE_MODELS", raising=False)
    return tmp_path / "home"


@pytest.fixture
def shop(tmp_path) -> Path:
    file = tmp_path / "shop.py"
    file.write_text(SHOP)
    return file


def wrapped(file: Path, **arguments: object) -> Classifier:
    return telltale.wrap(name_code(f"{file}:make", arguments), classes=["a", "b", "c"], size=8)


def again(classifier: Classifier, folder: Path) -> Classifier:
    save_weights(classifier, folder / "weights.safetensors")
    return load_weights(ClassifierSpec.from_json(classifier.spec.to_json()), folder / "weights.safetensors")


def test_what_a_reference_looks_like() -> None:
    for reference in ("shop.py:make", "/a b/shop.py:make", "shop:make", "a.b.c:make"):
        assert is_code(reference), reference
    for reference in ("shop.py", "imagenet", "hf:owner/name", "a b:make", "shop.py:2make", ":make", "a..b:make", ""):
        assert not is_code(reference), reference


def test_a_network_from_a_file_is_made_again_with_its_arguments(shop, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    classifier = wrapped(Path("shop.py"), width=5)
    spec = classifier.spec
    assert spec.factory == f"{shop}:make" and spec.arguments == {"width": 5} and spec.code is not None
    images = torch.rand(2, 3, 8, 8)
    monkeypatch.chdir("/")
    torch.testing.assert_close(again(classifier, tmp_path)(images), classifier(images))


def test_a_network_from_a_module_is_made_again(tmp_path) -> None:
    network = name_code("support.foreign_networks:InvertedResiduals", {"classes": 3})
    classifier = telltale.wrap(network, classes=3, size=32)
    assert classifier.spec.factory == "support.foreign_networks:InvertedResiduals"
    images = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(again(classifier, tmp_path)(images), classifier(images))


def test_a_spec_without_code_is_written_as_before() -> None:
    assert {"code", "interpolation"}.isdisjoint(ClassifierSpec("small_resnet", {}, 1, 8, 8, 3).to_json())


def test_code_that_nobody_named_here_never_runs(tmp_path, home, monkeypatch) -> None:
    trace, file = tmp_path / "ran", tmp_path / "stranger.py"
    file.write_text(f"open({str(trace)!r}, 'w')\n" + SHOP)
    sha256 = "0" * 64
    with pytest.raises(InputError, match=r"nobody has named on this machine.*TELLTALE_MODELS"):
        make_again(f"{file}:make", {}, sha256)
    (home / "telltale").mkdir(parents=True)
    with pytest.raises(InputError, match="nobody has named"):
        make_again("this:that", {}, sha256)
    assert not trace.exists()
    name_code(f"{file}:make")
    for reference, arguments in ((f"{file}:make", {"width": 9}), (f"{file}:needs", {})):
        with pytest.raises(InputError, match="nobody has named"):
            make_again(reference, arguments, sha256)


def test_what_the_variable_names_may_run(shop, monkeypatch) -> None:
    origin = made_by(name_code(f"{shop}:make"))
    monkeypatch.setenv("XDG_DATA_HOME", str(shop.parent / "another"))
    with pytest.raises(InputError, match="nobody has named"):
        make_again(origin.factory, {}, origin.code)
    monkeypatch.setenv("TELLTALE_MODELS", os.pathsep.join(["torch", str(shop)]))
    assert made_by(make_again(origin.factory, {}, origin.code)) == origin


def test_changed_code_does_not_run_until_told_to(shop, tmp_path, monkeypatch) -> None:
    classifier = wrapped(shop)
    shop.write_text(SHOP.replace("nn.ReLU()", "nn.Tanh()"))
    with pytest.raises(InputError, match=r"shop\.py', has changed since.*TELLTALE_CHANGED_MODELS"):
        again(classifier, tmp_path)
    monkeypatch.setenv("TELLTALE_CHANGED_MODELS", str(shop))
    assert "Tanh" in repr(again(classifier, tmp_path).network)


@pytest.mark.parametrize(
    ("reference", "sentence"),
    [
        ("nothing.py:make", r"There is no file '.*nothing\.py'"),
        ("no_such_package.part:make", "There is no module 'no_such_package.part' here"),
        ("no_such_module:make", "There is no module 'no_such_module' here"),
        ("shop.py:nothing", "There is no function 'nothing'"),
        ("shop.py:needs", r"fails when called without arguments: TypeError: .*'width'"),
        ("shop.py:number", r"must return a torch\.nn\.Module\. It returns int instead"),
        ("shop.py:broken", "RuntimeError: no weights here"),
        ("syntax.py:make", "cannot be imported: SyntaxError"),
        ("shop.py", r"write FILE\.py:FUNCTION or package\.module:function"),
    ],
)
def test_what_does_not_work_is_one_sentence(shop, tmp_path, monkeypatch, reference, sentence) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "syntax.py").write_text("def make(:\n")
    with pytest.raises(InputError, match=sentence) as refused:
        name_code(reference)
    assert "\n" not in str(refused.value)


def test_arguments_must_be_json(shop) -> None:
    with pytest.raises(InputError, match="not JSON"):
        name_code(f"{shop}:make", {"width": object()})


def test_files_beside_the_code_are_found(tmp_path) -> None:
    (tmp_path / "parts_of_it.py").write_text(SHOP)
    (tmp_path / "whole.py").write_text("from parts_of_it import make\n")
    assert made_by(name_code(f"{tmp_path}/whole.py:make")).factory.endswith("whole.py:make")


def test_a_damaged_list_of_what_was_named_is_said(shop, home) -> None:
    (home / "telltale").mkdir(parents=True)
    (home / "telltale" / "named-code.json").write_text("{")
    with pytest.raises(InputError, match=r"named-code\.json', is damaged: remove it"):
        name_code(f"{shop}:make")
