"""A build on somebody else's cluster, whose workers share no folder with it: the same bytes as a local one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

import telltale.building.build
from support.clusters import Cluster
from support.miniature import RECIPE, FlatMaps
from support.tiny import tiny_classifier, tiny_digits
from telltale.analysis.observing import observe_images
from telltale.analysis.opened import open_bundle
from telltale.base.images import to_floats
from telltale.base.processes import Processes
from telltale.base.remote.address import SCHEDULER_VARIABLE
from telltale.building.build import build_recipe
from telltale.building.fresh import evaluate_fresh
from telltale.building.observing import Batch, observe
from telltale.data.rows import Rows
from telltale.models.weights import load_weights, save_weights
from telltale.recipes import AttackPlan

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]  # two builds one after the other


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


OTHER_PROCESSOR = {
    "ATEN_CPU_CAPABILITY": "default",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
    "OPENBLAS_CORETYPE": "Nehalem",
}


def test_a_worker_with_other_instructions_is_told_of_and_agrees_to_1e_5(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    weights, folder = tmp_path / "weights.safetensors", tmp_path / "observed"
    classifier = tiny_classifier()
    save_weights(classifier, weights)
    pixels = Rows(tiny_digits().pixels, np.arange(200))
    cluster = Cluster(tmp_path)
    try:
        cluster.start_worker("old", OTHER_PROCESSOR)
        monkeypatch.setenv(SCHEDULER_VARIABLE, cluster.address)
        with Processes() as processes:
            batch = Batch("natural", pixels, readings=True)
            (there,) = observe(classifier, weights, [batch], folder, processes, silent)
    finally:
        cluster.stop()
    here = observe_images(load_weights(classifier.spec, weights), to_floats(pixels.taken()))
    assert not np.array_equal(here.trace.logits, there.trace.logits), "these instructions make no difference here"
    pairs = zip(
        (*here.trace.activations, here.trace.logits), (*there.trace.activations, there.trace.logits), strict=True
    )
    for ours, theirs in pairs:
        np.testing.assert_allclose(theirs, ours, rtol=1e-5, atol=1e-5)
    assert "The worker old at tcp" in caplog.text and "has a processor of another kind" in caplog.text


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
