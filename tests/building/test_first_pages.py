"""A build around somebody's own classifier: its bundle opens before any image is attacked, and is then replaced."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import telltale
import telltale.building.build
import telltale.engine
from support.direct_engine import DirectEngine
from support.in_order import InOrder
from support.miniature import FlatMaps
from support.pages import unopened
from support.tiny import tiny_classifier
from telltale.analysis.opened import open_bundle
from telltale.building.build import build_around
from telltale.bundle import under_way
from telltale.bundle.bundle import load_bundle
from telltale.bundle.summary import summarise
from telltale.bundle.verify import verify_bundle
from telltale.cli import main
from telltale.data.splits import SplitSizes
from telltale.detectors.registry import DETECTORS
from telltale.recipes import AttackPlan, BundlePlan
from telltale_app.pages import PAGES

WITHOUT_ATTACKS = ("confidence", "knn_score", "idefender", "feature_squeezing", "stability")
PLAN = BundlePlan(
    name="own",
    title="own",
    source="digits",
    sizes=SplitSizes(fit=40, calibration=60, test=40),
    attacks=(AttackPlan("fgsm", 20, 20),),
    macro_attacks=("fgsm",),
    detectors=(*WITHOUT_ATTACKS, "lid"),
    own=True,
)


class Killed(Exception):
    """Takes the place of a kill."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(telltale.building.build, "Processes", InOrder)
    monkeypatch.setattr(telltale.building.build, "LayerMaps", FlatMaps)
    monkeypatch.setattr(under_way, "SECONDS_BETWEEN", 0.0)
    monkeypatch.setenv("TELLTALE_BUNDLES", str(tmp_path))
    return tmp_path / "own"


def at_attacks(do: Callable[[], object]) -> Callable[[float, str], None]:
    def progress(fraction: float, message: str) -> None:
        del fraction
        if message.startswith("Attacking"):
            do()

    return progress


def stop() -> None:
    raise Killed


@pytest.mark.slow
def test_the_first_bundle_judges_by_what_needs_no_attack_and_the_second_has_the_rest(folder: Path) -> None:
    opened: list[Path] = []
    with pytest.raises(Killed):
        build_around(tiny_classifier(), PLAN, folder, at_attacks(stop), opened=opened.append)
    assert opened == [folder]
    assert {report.state for report in verify_bundle(folder)} == {"ok"}
    first = open_bundle(str(folder))
    assert set(first.detectors) == set(WITHOUT_ATTACKS) and first.fitted.fusion is None
    assert first.bundle.unfinished and set(first.bundle.scores["attack"].to_pylist()) == {""}
    image = first.bundle.require_images().images(first.bundle.splits.test[:1])[0]
    seen = telltale.analyse(image, bundle=str(folder))
    assert seen.fused is None and {verdict.detector for verdict in seen.verdicts} == set(WITHOUT_ATTACKS)
    held_out = first.bundle.calibration("confidence")
    for verdict in seen.verdicts:
        scores = first.bundle.calibration(verdict.detector).scores
        assert verdict.p_value == (1 + (scores >= verdict.score).sum()) / (1 + len(scores))
        assert len(scores) == len(held_out.scores) > 10

    build_around(tiny_classifier(), PLAN, folder, lambda *_: None)
    second = open_bundle(str(folder))
    assert set(second.detectors) == {*WITHOUT_ATTACKS, "lid"} and second.fitted.fusion is not None
    assert not second.bundle.unfinished and second.bundle.id != first.bundle.id
    np.testing.assert_array_equal(second.bundle.splits.train, first.bundle.splits.train)
    assert [entry.name for entry in folder.parent.iterdir()] == ["own"], "nothing is left beside it"


@pytest.mark.slow
def test_what_is_to_come_and_how_far_it_is_stands_in_the_list_of_models(folder: Path) -> None:
    said = []
    with pytest.raises(Killed):
        build_around(
            tiny_classifier(),
            PLAN,
            folder,
            at_attacks(lambda: (said.append("; ".join(summarise("own").lacks)), stop())),
        )
    assert "still to come" in said[0] and "% built" in said[0]
    found = under_way.under_way(folder)
    assert found is not None and found.process == os.getpid() and found.alive and 0.2 < found.fraction < 0.5
    under_way.file_of(folder).unlink()
    assert "goes on where it stood" in "; ".join(summarise("own").lacks)


@pytest.mark.slow
def test_without_attacks_the_first_bundle_is_all_there_is(folder: Path) -> None:
    plan = BundlePlan(**{**vars(PLAN), "attacks": (), "macro_attacks": (), "detectors": ()})
    build_around(tiny_classifier(), plan, folder, lambda *_: None, opened=lambda _: pytest.fail("nothing is to come"))
    bundle = load_bundle(str(folder))
    assert not bundle.unfinished
    expected = {name for name, kind in DETECTORS.items() if not kind.needs_attacks}
    assert set(bundle.manifest.detectors) <= expected and {"confidence", "stability"} <= set(bundle.manifest.detectors)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first bundle of a build that was stopped; tests must not change it."""
    place = tmp_path_factory.mktemp("bundles")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(telltale.building.build, "Processes", InOrder)
        patch.setattr(telltale.building.build, "LayerMaps", FlatMaps)
        with pytest.raises(Killed):
            build_around(tiny_classifier(), PLAN, place / "own", at_attacks(stop))
    return place


@pytest.mark.slow
@pytest.mark.parametrize("page", [page.file for page in PAGES])
def test_every_page_opens_on_the_first_bundle(first: Path, page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELLTALE_BUNDLES", str(first))
    engine = DirectEngine()
    monkeypatch.setattr(telltale.engine, "get_engine", lambda: engine)
    test = load_bundle(str(first / "own")).splits.test[0]
    app = unopened(f"app_pages/{page}", 120, bundle="own", image=f"test-{test}", attack="fgsm").run()
    assert not app.exception, app.exception
    assert not app.error and not app.warning


@pytest.mark.slow
@pytest.mark.parametrize("command", [["evaluate", "own"], ["leaderboard", "own"], ["info", "own"]])
def test_commands_say_what_there_is(
    first: Path, command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TELLTALE_BUNDLES", str(first))
    status = main(command)
    said = capsys.readouterr()
    assert status in (0, 2) and "Traceback" not in said.err
    assert status == 0 or said.err.count("\n") == 1


def test_a_file_that_says_nothing_of_a_build_is_none(tmp_path: Path) -> None:
    assert under_way.under_way(tmp_path / "own") is None
    under_way.file_of(tmp_path / "own").parent.mkdir()
    for text in ("", "[]", '{"fraction": "x", "message": 1, "process": 2}', '{"fraction": 0.5}'):
        under_way.file_of(tmp_path / "own").write_text(text)
        assert under_way.under_way(tmp_path / "own") is None
    gone = under_way.UnderWay(0.5, "Attacking", 2**22 + 1)
    assert not gone.alive
