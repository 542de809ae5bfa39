"""A build on somebody else's cluster, whose workers share no folder with it: the same bytes as a local one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

import telltale.building.build
from support.clusters import Cluster
from support.miniature import RECIPE, FlatMaps
from telltale.analysis.opened import open_bundle
from telltale.base.remote.address import SCHEDULER_VARIABLE
from telltale.building.build import build_recipe
from telltale.building.fresh import evaluate_fresh
from telltale.recipes import AttackPlan

pytestmark = pytest.mark.slow


def silent(fraction: float, message: str) -> None:
    pass


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module", autouse=True)
def quick_maps() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(telltale.building.build, "LayerMaps", FlatMaps)
        yield


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        for name in ("one", "two"):
            cluster.start_worker(name)
        yield cluster
    finally:
        cluster.stop()


def test_a_bundle_built_on_two_other_machines_is_the_one_built_here(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "cpu_count", lambda: 1)
        here = build_recipe(RECIPE, "digits", tmp_path / "here" / "mini", silent)
        evaluated_here = evaluate_fresh(open_bundle(str(here)), silent, [AttackPlan("fgsm", 0, 20)])
    before = set(psutil.Process().children())
    monkeypatch.setenv(SCHEDULER_VARIABLE, cluster.address)
    there = build_recipe(RECIPE, "digits", tmp_path / "there" / "mini", silent)
    evaluated_there = evaluate_fresh(open_bundle(str(there)), silent, [AttackPlan("fgsm", 0, 20)])
    assert set(psutil.Process().children()) <= before, "no worker was started here"
    assert contents(there) == contents(here)
    assert repr(evaluated_there) == repr(evaluated_here)
    for name in ("one", "two"):
        assert list((cluster.folder / f"cache-{name}" / "sent").glob("*")), "each was sent what it lacked"
