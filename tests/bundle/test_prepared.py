"""What a large reference set stores beside itself: opened in another process, it answers as if it were made anew."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from support import large_reference
from telltale.analysis.opened import load_reference
from telltale.base.errors import DamagedBundleError
from telltale.bundle import load_bundle, store, verify_bundle
from telltale.bundle.fitted import FittedFiles, ReferenceFiles, save_reference
from telltale.bundle.manifest import DataReference, Manifest
from telltale.data.splits import Splits
from telltale.evidence import by_size
from telltale.evidence.approximate import ApproximateIndex
from telltale.evidence.curvature import ConjugateInfluence
from telltale.evidence.prepared import FOLDER
from telltale.evidence.reference import Reference
from telltale.evidence.sparse_influence import SparseInfluence
from telltale.models.spec import small_resnet_spec

KINDS = {"conjugate": ConjugateInfluence, "sparse": SparseInfluence}
INDICES = {f"index-{place}-{p}.{end}" for place in (0, 1) for p in ("none", "l2", "pca_whiten") for end in
           ("faiss", "safetensors")}  # fmt: skip


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    large_reference.lower_sizes(request.param, monkeypatch)
    return str(request.param)


def save(folder: Path, reference: Reference) -> Splits:
    nobody = np.empty(0, dtype=np.int64)
    splits = Splits(reference.ids, nobody, nobody, nobody)
    save_reference(folder, splits, reference, half=False)
    return splits


@pytest.mark.slow
def test_another_process_answers_the_same_from_what_is_stored(kind: str, tmp_path: Path) -> None:
    reference = large_reference.make()
    save(tmp_path / "set", reference)
    expected = large_reference.answers(reference)  # made here and now, from nothing stored
    assert isinstance(reference.influence, KINDS[kind]) and isinstance(reference.index("last"), ApproximateIndex)
    command = [sys.executable, "-m", "support.large_reference", kind, str(tmp_path / "set"), str(tmp_path / "out.npz")]
    subprocess.run(command, check=True, timeout=300)
    with np.load(tmp_path / "out.npz") as found:
        assert set(found) == set(expected)
        for name, values in expected.items():
            np.testing.assert_array_equal(found[name], values, err_msg=name)


def test_files_are_mapped_and_travel_with_the_fitted_ones(kind: str, tmp_path: Path) -> None:
    save(tmp_path, large_reference.make())
    files = ReferenceFiles(tmp_path, large_reference.LAYERS, large_reference.CLASSES)
    influence = files.read().influence
    assert isinstance(influence._blocks.factors.base, np.memmap)
    (tmp_path / "detectors").mkdir()
    listed = FittedFiles.of(files, {}).paths()
    assert {name for name in listed if name.startswith(f"{FOLDER}/index")} == {f"{FOLDER}/{name}" for name in INDICES}
    assert f"{FOLDER}/influence.factors.npy" in listed
    assert all((tmp_path / name).is_file() for name in listed)


def test_a_small_set_stores_nothing_more(tmp_path: Path) -> None:
    save(tmp_path, large_reference.make())
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "missing.json",
        "reference.safetensors",
        "splits.safetensors",
    ]


def test_a_bundle_lists_them_and_refuses_what_was_changed(kind: str, tmp_path: Path, monkeypatch) -> None:
    reference = large_reference.make()
    names = tuple(str(label) for label in range(large_reference.CLASSES))
    data = DataReference("digits", "0" * 64, large_reference.COUNT, names, (1, 4, 4))
    network = small_resnet_spec(1, 4, 4, large_reference.CLASSES).to_json()
    manifest = Manifest("large", "Large", 0, data, large_reference.LAYERS, network, {}, (), {}, {})

    def fill(empty: Path) -> Manifest:
        save(empty, reference)
        return manifest

    store.write_bundle(tmp_path / "large", fill)
    bundle = load_bundle(tmp_path / "large")
    assert {f"{FOLDER}/{name}" for name in INDICES} < set(bundle.manifest.files)
    assert {report.state for report in verify_bundle(bundle.folder)} == {"ok"}
    loaded, method = load_reference(bundle), reference.index("last").method
    monkeypatch.setattr(ApproximateIndex, "train", large_reference.refuse)
    assert loaded.index("last").method == method
    file = bundle.folder / FOLDER / "index-1-none.faiss"
    data_bytes = bytearray(file.read_bytes())
    data_bytes[len(data_bytes) // 2] ^= 1
    file.write_bytes(data_bytes)
    with pytest.raises(DamagedBundleError, match=r"index-1-none\.faiss' of bundle 'large' is damaged"):
        load_reference(bundle)


def test_files_of_another_set_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    large_reference.lower_sizes("conjugate", monkeypatch)
    reference = large_reference.make()
    save(tmp_path / "one", reference)
    fewer = slice(0, 2000)
    other = replace(
        reference, ids=reference.ids[fewer], labels=reference.labels[fewer], trace=reference.trace.take(fewer)
    )
    save(tmp_path / "other", other)
    shutil.copyfile(tmp_path / "one" / FOLDER / "index-0-l2.faiss", tmp_path / "other" / FOLDER / "index-0-l2.faiss")
    found = ReferenceFiles(tmp_path / "other", large_reference.LAYERS, large_reference.CLASSES).read()
    with pytest.raises(DamagedBundleError, match="belongs to other activations"):
        found.index("first", "l2")
    assert by_size.searched_approximately(len(other.ids))
