"""The pages' engine on somebody else's cluster: whose bundle counts, what is sent, and who is refused by name."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from support.clusters import Cluster, wait_until
from telltale.analysis.analyse import analyse_image
from telltale.analysis.kept import load
from telltale.base.errors import InputError
from telltale.base.places import PRECOMPUTED
from telltale.bundle import load_bundle
from telltale.bundle.store import read_manifest
from telltale.engine import Engine
from telltale.engine.settings import Settings

pytestmark = pytest.mark.slow

TASKS = "support.engine_tasks"
PATIENCE = 240.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        yield cluster
    finally:
        cluster.stop()


@contextmanager
def engine_on(cluster: Cluster, bundle: str) -> Iterator[Engine]:
    engine = Engine(Settings(scheduler=cluster.address, bundle=bundle))
    engine.start()
    try:
        yield engine
    finally:
        engine.close()


def wait_for_reason(engine: Engine, found: Callable[[str], bool]) -> str:
    reason = ""

    def look() -> bool:
        nonlocal reason
        reason = str(engine.status()["reason"])
        return found(reason)

    wait_until(look, PATIENCE, lambda: engine.status())
    return reason


def copied(name: str, folder: Path, title: str = "") -> Path:
    """Copy the digits under another name, or as another build of themselves, and return the folder around them."""
    place = folder / name
    shutil.copytree(PRECOMPUTED / "digits", place)
    manifest = read_manifest(place)
    changed = replace(manifest, name=name, title=title or manifest.title)
    (place / "manifest.json").write_text(changed.to_text())
    return folder


def test_a_server_without_workers_says_so_and_sends_its_bundle_to_who_joins(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TELLTALE_BUNDLES", str(copied("sent", tmp_path)))
    image = np.zeros(load_bundle("sent").image_shape, dtype=np.float32)
    request = {"bundle": "sent", "image": image, "alpha": 0.05}
    with engine_on(cluster, "sent") as engine:
        reason = wait_for_reason(engine, lambda reason: "No worker has joined" in reason)
        assert f"start one by `telltale worker --scheduler {cluster.address}`" in reason
        waiting = engine.submit("analyse", **request)
        cluster.start_worker("one", {"TELLTALE_BUNDLES": ""})
        wait_until(engine.ready, PATIENCE, engine.status)
        there = waiting.result(PATIENCE)
        assert set(engine.submit(f"{TASKS}:threads").result(PATIENCE).values()) == {"1"}
        monkeypatch.setenv("TELLTALE_BUNDLES", os.pathsep.join([str(tmp_path), str(copied("unsent", tmp_path / "b"))]))
        with pytest.raises(InputError, match=r"The worker one lacks the bundle 'unsent': copy its folder there"):
            engine.submit("analyse", bundle="unsent", image=image, alpha=0.05).result(PATIENCE)
    (arrived,) = (cluster.folder / "cache-one" / "bundles").glob("*/sent/manifest.json")
    assert arrived.read_bytes() == (tmp_path / "sent" / "manifest.json").read_bytes()
    here = analyse_image(load("sent"), image, 0.05)
    assert (there.bundle_id, there.verdicts, there.fused) == (here.bundle_id, here.verdicts, here.fused)


def test_a_worker_with_another_build_of_the_bundle_is_refused_by_name_until_it_has_this_one(
    tmp_path: Path,
) -> None:
    other = copied("digits", tmp_path, title="Another build")
    with_one = Cluster(tmp_path)
    try:
        with_one.start_worker("two", {"TELLTALE_BUNDLES": str(other)})
        with engine_on(with_one, "digits") as engine:
            reason = wait_for_reason(engine, lambda reason: "another build" in reason)
            assert reason.startswith("The worker two at tcp://127.0.0.1")
            assert "holds another build of the bundle 'digits' than this server" in reason
            job = engine.submit(f"{TASKS}:pid")
            time.sleep(2)
            assert job.status().state == "queued", "who is refused computes nothing"
            shutil.copyfile(PRECOMPUTED / "digits" / "manifest.json", other / "digits" / "manifest.json")
            wait_until(engine.ready, PATIENCE, engine.status)
            assert job.result(PATIENCE)
    finally:
        with_one.stop()
