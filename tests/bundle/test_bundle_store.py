"""Bundles on disk: whole or not at all, without pickle, every damaged byte named."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

import telltale.bundle as bundles
from telltale.base import files
from telltale.base.errors import DamagedBundleError, InputError
from telltale.bundle import store
from telltale.bundle.manifest import MANIFEST_FILE, SCHEMA_VERSION, DataReference, Manifest
from telltale.bundle.verify import check_at_load, verify_bundle
from telltale.data.sources import load_image_set
from telltale.data.splits import Splits, SplitSizes


def a_manifest(name: str = "tiny", **changes: object) -> Manifest:
    fields: dict[str, object] = {
        "name": name,
        "title": "Tiny",
        "seed": 3,
        "data": DataReference("digits", "0" * 64, 10, ("a", "b"), (1, 4, 4)),
        "layers": ("one", "two"),
        "architecture": {"channels": 1, "classes": 2},
        "accuracies": {"train": 1, "test": 0.5},
        "attacks": ({"name": "pgd", "parameters": {"eps": 0.1}},),
        "detectors": {"knn": {"parameters": {"k": 5}, "selected_by": "fit AUC"}},
        "versions": {"python": "3.11"},
        "notes": {"macro_attacks": ["pgd"], "keep": {10: 1.0, 2: 0.5}},
    }
    return Manifest(**{**fields, **changes})  # type: ignore[arg-type]


def fill(folder: Path, value: float = 1.0) -> Manifest:
    files.save_arrays(folder / "maps.safetensors", {"umap": np.full((2, 3), value, dtype=np.float32)})
    files.save_table(folder / "scores.parquet", pa.table({"image_id": [1, 2]}))
    (folder / "detectors").mkdir()
    files.save_json(folder / "detectors" / "knn.json", {"k": 5})
    return a_manifest()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    store.write_bundle(tmp_path / "tiny", fill)
    return tmp_path / "tiny"


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.text("abc_", min_size=1, max_size=4),
        npst.arrays(
            st.sampled_from([np.float32, np.float64, np.int64, np.uint8, np.bool_]), npst.array_shapes(min_side=0)
        ),
        max_size=4,
    )
)
def test_arrays_survive_exactly_and_their_bytes_do_not_depend_on_order(tmp_path, arrays) -> None:
    path, other = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    files.save_arrays(path, arrays)
    files.save_arrays(other, {name: np.asfortranarray(arrays[name]) for name in reversed(list(arrays))})
    assert path.read_bytes() == other.read_bytes()
    loaded = files.load_arrays(path)
    assert loaded.keys() == arrays.keys()
    for name, array in arrays.items():
        assert loaded[name].dtype == array.dtype
        np.testing.assert_array_equal(loaded[name], array)


def test_one_large_array_is_mapped_read_only(tmp_path) -> None:
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    files.save_array(tmp_path / "a.npy", array)
    opened = files.open_array(tmp_path / "a.npy")
    np.testing.assert_array_equal(opened, array)
    assert isinstance(opened, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        opened[0, 0] = 1


def test_python_objects_are_neither_written_nor_read(tmp_path) -> None:
    objects = np.array([{"a": 1}], dtype=object)
    with pytest.raises(InputError, match="numbers"):
        files.save_arrays(tmp_path / "a.safetensors", {"a": objects})
    with pytest.raises(InputError, match="Python objects"):
        files.save_array(tmp_path / "a.npy", objects)
    np.save(tmp_path / "b.npy", objects, allow_pickle=True)
    with pytest.raises(DamagedBundleError, match=r"b\.npy"):
        files.open_array(tmp_path / "b.npy")


@pytest.mark.parametrize("read", [files.load_arrays, files.open_array, files.load_table, files.load_json])
@pytest.mark.parametrize("content", [b"", b"junk", b"[1]", bytes(200), None])
def test_unreadable_files_are_named(tmp_path, read, content) -> None:
    path = tmp_path / "file.x"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DamagedBundleError, match=r"file\.x.* is (damaged|missing)"):
        read(path)


def test_two_builds_are_equal_byte_for_byte(tmp_path) -> None:
    for place in ("one", "two"):
        store.write_bundle(tmp_path / place / "tiny", fill)
    for name in [MANIFEST_FILE, *store.list_files(tmp_path / "one" / "tiny")]:
        assert (tmp_path / "one" / "tiny" / name).read_bytes() == (tmp_path / "two" / "tiny" / name).read_bytes()


def test_a_written_bundle_verifies_and_its_manifest_survives(folder) -> None:
    manifest = store.read_manifest(folder)
    assert list(manifest.files) == ["detectors/knn.json", "maps.safetensors", "scores.parquet"]
    assert [report.state for report in verify_bundle(folder)] == ["ok"] * 3
    check_at_load(folder, manifest)
    assert Manifest.parse(manifest.to_text()) == manifest
    assert sorted(path.name for path in folder.parent.iterdir()) == ["tiny"]


def test_every_single_changed_byte_is_found(folder) -> None:
    for name in [*store.list_files(folder), MANIFEST_FILE]:
        original = (folder / name).read_bytes()
        for position in range(0, len(original), max(1, len(original) // 40)):
            changed = bytearray(original)
            changed[position] ^= 1
            (folder / name).write_bytes(changed)
            if name == MANIFEST_FILE:
                with pytest.raises(InputError):
                    verify_bundle(folder)
            else:
                assert [(r.file, r.state) for r in verify_bundle(folder) if r.state != "ok"] == [(name, "damaged")]
                with pytest.raises(DamagedBundleError, match=name):
                    check_at_load(folder, store.read_manifest(folder))
        (folder / name).write_bytes(original)


def test_missing_truncated_and_unexpected_files_are_named(folder) -> None:
    (folder / "scores.parquet").unlink()
    maps = folder / "maps.safetensors"
    maps.write_bytes(maps.read_bytes()[:-1])
    (folder / "detectors" / "extra.bin").write_bytes(b"x")
    states = {report.file: report.state for report in verify_bundle(folder)}
    assert states == {
        "detectors/knn.json": "ok",
        "maps.safetensors": "damaged",
        "scores.parquet": "missing",
        "detectors/extra.bin": "unexpected",
    }


def test_a_failed_build_leaves_the_old_bundle_and_no_litter(folder) -> None:
    before = (folder / MANIFEST_FILE).read_bytes()

    def fail(partial: Path) -> Manifest:
        fill(partial, 2.0)
        raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        store.write_bundle(folder, fail)
    assert (folder / MANIFEST_FILE).read_bytes() == before
    assert [path.name for path in folder.parent.iterdir()] == ["tiny"]


def fill_plain(folder: Path, value: float) -> Manifest:
    files.save_arrays(folder / "maps.safetensors", {"umap": np.full(3, value)})
    (folder / "detectors").mkdir()
    files.save_json(folder / "detectors" / "knn.json", {"k": 5})
    return a_manifest()


def write_and_die(folder: Path, step: int) -> int:
    """Write a bundle in a child process that dies at its step-th operation on the disk; its exit status."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    left = step

    def counted(function):
        def call(*args, **kwargs):
            nonlocal left
            left -= 1
            if left == 0:
                os._exit(9)
            return function(*args, **kwargs)

        return call

    store._flush = counted(store._flush)
    store.shutil.rmtree = counted(store.shutil.rmtree)
    Path.rename, Path.mkdir = counted(Path.rename), counted(Path.mkdir)
    Path.write_text, Path.write_bytes = counted(Path.write_text), counted(Path.write_bytes)
    try:
        store.write_bundle(folder, lambda partial: fill_plain(partial, 2.0))
    finally:
        os._exit(0)


def test_a_kill_at_any_step_leaves_the_old_bundle_or_the_new_one(tmp_path) -> None:
    folder = tmp_path / "tiny"
    seen = []
    for step in range(1, 100):
        store.write_bundle(folder, lambda partial: fill_plain(partial, 1.0))
        status = write_and_die(folder, step)
        place = store.find_folder(folder)
        assert place is not None
        assert {report.state for report in verify_bundle(place)} == {"ok"}
        seen.append(float(files.load_arrays(place / "maps.safetensors")["umap"][0]))
        if status == 0:
            break
        assert status == 9
    assert status == 0
    assert len(seen) > 15
    # Old at every step before one moment, new at every step from it on.
    assert seen == sorted(seen)
    assert set(seen) == {1.0, 2.0}
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]


def test_a_half_written_bundle_is_not_a_bundle(tmp_path) -> None:
    fill_folder = tmp_path / "support.tiny.partial"
    fill_folder.mkdir()
    fill(fill_folder)
    assert store.find_folder(tmp_path / "tiny") is None
    with pytest.raises(InputError, match=r"no manifest\.json"):
        store.read_manifest(fill_folder)


def test_a_folder_that_is_not_a_bundle_is_never_replaced(tmp_path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "dear.jpg").write_bytes(b"x")
    with pytest.raises(InputError, match="not a bundle"):
        store.write_bundle(tmp_path / "photos", fill)
    assert (tmp_path / "photos" / "dear.jpg").read_bytes() == b"x"


@pytest.mark.parametrize("name", ["../up", "a b", "", "support.tiny.partial", ".hidden", "a/b"])
def test_unsafe_bundle_names_are_refused(name) -> None:
    with pytest.raises(InputError, match="letters, digits"):
        Manifest.parse(a_manifest(name).to_text())


def raw_manifest() -> dict[str, object]:
    entry = {"sha256": "0" * 64, "bytes": 1}
    return json.loads(a_manifest().to_text()) | {"files": {"a.json": entry}}


@pytest.mark.parametrize("name", ["../a", "/etc/passwd", "a/../b", "a\\b", "", "manifest.json", "a//b", "C:/x", "./a"])
def test_file_names_that_leave_the_folder_are_refused(name) -> None:
    raw = raw_manifest() | {"files": {name: {"sha256": "0" * 64, "bytes": 1}}}
    with pytest.raises(DamagedBundleError, match="unsafe file name"):
        Manifest.parse(json.dumps(raw))


@pytest.mark.parametrize("key", [key for key in raw_manifest() if key != "checksum"])
def test_missing_keys_and_wrong_types_are_named(key) -> None:
    raw = raw_manifest()
    with pytest.raises(DamagedBundleError, match=f"'{key}' is missing"):
        Manifest.parse(json.dumps({k: v for k, v in raw.items() if k != key}))
    for wrong in (None, True, 1.5):
        with pytest.raises(DamagedBundleError, match=f"'{key}' must be"):
            Manifest.parse(json.dumps(raw | {key: wrong}))


@pytest.mark.parametrize(
    "change",
    [
        {"data": {**raw_manifest()["data"], "image_shape": [1, 2]}},  # type: ignore[dict-item]
        {"data": {**raw_manifest()["data"], "class_names": [1]}},  # type: ignore[dict-item]
        {"layers": [1]},
        {"accuracies": {"train": "good"}},
        {"attacks": ["pgd"]},
        {"detectors": {"knn": {"parameters": {}}}},
        {"versions": {"python": 3}},
        {"files": {"a.json": {"sha256": "x", "bytes": 1}}},
        {"files": {"a.json": {"sha256": "0" * 64, "bytes": -1}}},
        {"accuracies": {"train": float("nan")}},
    ],
)
def test_wrong_values_inside_are_refused(change) -> None:
    with pytest.raises(DamagedBundleError, match="damaged"):
        Manifest.parse(json.dumps(raw_manifest() | change))


def test_another_format_version_is_named() -> None:
    with pytest.raises(InputError, match=f"version {SCHEMA_VERSION + 1}.*reads version {SCHEMA_VERSION}"):
        Manifest.parse(json.dumps(raw_manifest() | {"schema_version": SCHEMA_VERSION + 1}))


@pytest.mark.parametrize("text", ["", "{", "[]", "1", '{"schema_version": 1}', "[" * 100_000])
def test_text_that_is_no_manifest_is_refused(text) -> None:
    with pytest.raises(DamagedBundleError):
        Manifest.parse(text)


def test_numbers_that_are_not_finite_are_not_written() -> None:
    with pytest.raises(InputError, match="JSON"):
        a_manifest(notes={"x": float("inf")}).to_text()


def fill_digits(folder: Path) -> Manifest:
    digits = load_image_set("digits")
    splits = Splits.draw(digits.labels, SplitSizes(100, 100, 100), 0)
    n = len(splits.train)
    files.save_arrays(folder / "splits.safetensors", splits.to_arrays())
    files.save_arrays(folder / "maps.safetensors", {"pca": np.zeros((2, n, 2), dtype=np.float32)})
    density = {"points": np.zeros((n, 2)), "labels": digits.labels[splits.train], "means": np.zeros((10, 2))}
    files.save_arrays(folder / "density_map.safetensors", density | {"covariances": np.zeros((10, 2, 2))})
    files.save_arrays(folder / "calibration.safetensors", {"knn": np.array([3.0, 1.0, 2.0])})
    files.save_table(folder / "scores.parquet", pa.table({"image_id": [1, 2]}))
    files.save_array(folder / "big.npy", np.arange(4))
    data = DataReference("digits", digits.fingerprint, len(digits), digits.class_names, (1, 32, 32))
    return a_manifest("tinydigits", data=data)


@pytest.fixture
def shelf(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("TELLTALE_BUNDLES", f"{tmp_path / 'absent'}:{tmp_path}")
    store.write_bundle(tmp_path / "tinydigits", fill_digits)
    return tmp_path


def test_a_bundle_reads_back_what_was_stored(shelf) -> None:
    bundle = bundles.load_bundle("tinydigits")
    assert (bundle.name, bundle.image_shape, bundle.layers) == ("tinydigits", (1, 32, 32), ("one", "two"))
    assert bundle.class_names == tuple("0123456789")
    assert bundle.id == files.file_sha256(shelf / "tinydigits" / MANIFEST_FILE)
    assert len(bundle.splits.test) == 100
    assert bundle.maps["pca"].shape == (2, len(bundle.splits.train), 2)
    assert bundle.density_map.covariances.shape == (10, 2, 2)
    assert bundle.scores.num_rows == 2
    assert bundle.array("big.npy").tolist() == [0, 1, 2, 3]
    assert bundle.calibration("knn").scores.tolist() == [1.0, 2.0, 3.0]
    assert bundle.calibration("absent") is None
    assert (len(bundle.image_set), bundle.data_problem) == (1797, None)
    assert bundle.require_images() is bundle.image_set
    assert bundles.load_bundle(shelf / "tinydigits") is bundle
    with pytest.raises(DamagedBundleError, match=r"has no file 'other\.json'"):
        bundle.json("other.json")


def test_bundles_are_listed_and_unknown_ones_refused_with_the_list(shelf) -> None:
    (shelf / "half.partial").mkdir()
    (shelf / "empty").mkdir()
    assert "tinydigits" in bundles.list_bundles()
    assert not {"half", "half.partial", "empty"} & set(bundles.list_bundles())
    for unknown in ("nope", "../tinydigits/x", "", str(shelf / "empty"), "half.partial"):
        with pytest.raises(InputError, match=r"There is no bundle .* present: .*tinydigits"):
            bundles.load_bundle(unknown)


def test_damage_is_seen_at_load_even_after_an_earlier_load(shelf) -> None:
    file = shelf / "tinydigits" / "maps.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(DamagedBundleError, match=r"'maps\.safetensors' .* is damaged"):
        bundles.load_bundle("tinydigits")
    content[-1] ^= 1
    file.write_bytes(content)
    bundles.load_bundle("tinydigits")
    file.unlink()
    with pytest.raises(DamagedBundleError, match=r"'maps\.safetensors' .* is missing"):
        bundles.load_bundle("tinydigits")


def test_a_rebuilt_bundle_is_another_bundle(shelf) -> None:
    before = bundles.load_bundle("tinydigits")
    store.write_bundle(shelf / "tinydigits", lambda folder: replace(fill_digits(folder), seed=4))
    after = bundles.load_bundle("tinydigits")
    assert (before.manifest.seed, after.manifest.seed) == (3, 4)
    assert before.id != after.id


@pytest.mark.parametrize(
    ("change", "sentence"),
    [({"fingerprint": "0"}, "fingerprints differ"), ({"source": "./gone"}, "not on this machine")],
)
def test_other_or_absent_data_is_said_in_words(shelf, change, sentence) -> None:
    def fill_other(folder: Path) -> Manifest:
        manifest = fill_digits(folder)
        return replace(manifest, data=replace(manifest.data, **change))

    store.write_bundle(shelf / "tinydigits", fill_other)
    bundle = bundles.load_bundle("tinydigits")
    assert bundle.image_set is None
    assert sentence in bundle.data_problem
    with pytest.raises(InputError) as refused:
        bundle.require_images()
    assert str(refused.value) == bundle.data_problem


def test_reading_bundles_never_imports_torch() -> None:
    read = "telltale.bundle, telltale.scores.metrics, telltale.data.uploads, telltale.cli"
    code = f"import sys, {read}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
