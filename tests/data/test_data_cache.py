"""The cache of decoded images: the same pixels as without it, in no time, whatever is done to its files."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import telltale.data.sources
from telltale.base.errors import InputError
from telltale.data.cache import KEPT, cached
from telltale.data.image_set import ImageSet
from telltale.data.sources import load_image_set

ROOT = Path(__file__).resolve().parents[2]
RUNS = "import sys; from telltale.data.sources import load_image_set as load; s = load(sys.argv[1]); "


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """Return the folder of a cache of its own."""
    monkeypatch.setenv("TELLTALE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "images"


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture
def pets(tmp_path) -> Path:
    for i, name in enumerate(["cat", "cat", "cat", "dog"]):
        (tmp_path / "pets" / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise(5, 6, seed=i)).save(tmp_path / "pets" / name / f"{i}.png")
    return tmp_path / "pets"


class Source:
    """An image set that counts how often it is decoded."""

    def __init__(self, seed: int = 0) -> None:
        self.pixels, self.labels = noise(7, 3, 4, 5, seed=seed), np.arange(7, dtype=np.int64) % 3
        self.decoded = 0

    def read(self) -> ImageSet:
        self.decoded += 1
        return ImageSet("made", self.pixels.copy(), self.labels.copy(), ("a", "b", "c"), 2)

    def load(self, contents: object = "one") -> ImageSet:
        image_set = cached(lambda: contents, self.read)
        np.testing.assert_array_equal(image_set.pixels, self.pixels)
        np.testing.assert_array_equal(image_set.labels, self.labels)
        assert (image_set.name, image_set.class_names, image_set.own_test) == ("made", ("a", "b", "c"), 2)
        digest = hashlib.sha256(b"(7, 3, 4, 5)" + self.pixels.tobytes() + self.labels.tobytes()).hexdigest()
        assert image_set.fingerprint == digest
        return image_set


def entries(cache: Path) -> list[Path]:
    return sorted(path for path in cache.iterdir() if path.is_dir())


def test_a_set_is_decoded_once_and_mapped_from_then_on(cache) -> None:
    source = Source()
    first, second = source.load(), source.load()
    assert source.decoded == 1
    for image_set in (first, second):
        assert not image_set.pixels.flags.writeable and not image_set.pixels.flags.owndata
        images = image_set.images([3, 1])
        images[:] = 0.0  # a copy, of which the file knows nothing
    np.testing.assert_array_equal(source.load().images([3, 1]) * 255, source.pixels[[3, 1]])
    (entry,) = entries(cache)
    np.testing.assert_array_equal(np.load(entry / "pixels.npy", allow_pickle=False), source.pixels)
    np.testing.assert_array_equal(np.load(entry / "labels.npy", allow_pickle=False), source.labels)
    assert cache.stat().st_mode & 0o777 == 0o700


def test_other_contents_are_another_entry(cache) -> None:
    one, other = Source(), Source(seed=1)
    one.load("one"), other.load("other"), one.load("one"), other.load("other")
    assert (one.decoded, other.decoded) == (1, 1)


def damages() -> dict[str, object]:
    def change(name: str, place: int):
        def damage(entry: Path) -> None:
            data = bytearray((entry / name).read_bytes())
            data[place] ^= 1
            (entry / name).write_bytes(data)

        return damage

    def truncate(name: str):
        return lambda entry: os.truncate(entry / name, (entry / name).stat().st_size // 2)

    def lengthen(name: str):
        return lambda entry: (entry / name).write_bytes((entry / name).read_bytes() + b"\0")

    names = ("pixels.npy", "labels.npy", "about.json")
    found = {f"{name} byte {place}": change(name, place) for name in names for place in (0, 60, -1, -9)}
    found |= {f"half {name}": truncate(name) for name in names} | {f"long {name}": lengthen(name) for name in names[:2]}
    found |= {f"no {name}": lambda entry, name=name: (entry / name).unlink() for name in names}
    return found


@pytest.mark.parametrize("damage", damages().values(), ids=damages().keys())
def test_a_damaged_entry_is_made_anew(cache, damage) -> None:
    source = Source()
    source.load()
    damage(entries(cache)[0])
    source.load()
    assert source.decoded == 2
    source.load()
    assert source.decoded == 2, "it was not put right"


@pytest.mark.parametrize(
    "change",
    [
        {"shape": [7, 3, 4, 6]},
        {"shape": [7, 3, 5, 4]},
        {"shape": [-7, -3, 4, 5]},
        {"shape": [2**62, 3, 4, 5]},
        {"shape": 7},
        {"class_names": ["a", "b"]},
        {"class_names": 3},
        {"own_test": 8},
        {"own_test": "2"},
        {"own_validation": -1},
        {"own_validation": 5},
        {"names": ["a"]},
        {"names": [3] * 7},
        {"left_out": [["a", 3]]},
        {"left_out": [["a", "b", "c"]]},
        {"duplicates": [[0, 7]]},
        {"duplicates": 3},
        {"class_names": []},
        {"fingerprint": "x"},
        {"fingerprint": None},
        {"name": None},
        {"labels_sha256": "0" * 64},
    ],
    ids=str,
)
def test_a_description_that_cannot_be_is_not_believed(cache, change) -> None:
    source = Source()
    source.load()
    file = entries(cache)[0] / "about.json"
    about = json.loads(file.read_text())["about"] | change
    checksum = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
    file.write_text(json.dumps({"checksum": checksum, "about": about}))
    source.load()
    assert source.decoded == 2


def test_a_folder_that_cannot_be_used_only_means_no_cache(tmp_path, monkeypatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TELLTALE_CACHE", str(tmp_path / "file"))
    source = Source()
    source.load(), source.load()
    assert source.decoded == 2


def test_a_full_disk_only_means_no_cache(cache, monkeypatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    source = Source()
    with monkeypatch.context() as patch:
        patch.setattr(np, "save", full)
        source.load()
    assert source.decoded == 1 and not entries(cache), "half an entry was left"
    source.load(), source.load()
    assert source.decoded == 2


def test_a_source_that_changes_while_it_is_read_is_not_kept(cache) -> None:
    source, states = Source(), iter(range(10))
    np.testing.assert_array_equal(cached(lambda: next(states), source.read).pixels, source.pixels)
    assert not entries(cache)


def test_the_entries_used_last_are_kept(cache) -> None:
    source = Source()
    for number in range(KEPT):
        source.load(number)
        os.utime(entries(cache)[0])
    for age, entry in enumerate(entries(cache)):
        os.utime(entry, (age, age))
    oldest = min(entries(cache), key=lambda entry: entry.stat().st_mtime)
    (cache / ".partial-killed").mkdir()
    os.utime(cache / ".partial-killed", (1, 1))
    mapped = source.load(KEPT)
    assert len(entries(cache)) == KEPT and oldest not in entries(cache) and not (cache / ".partial-killed").exists()
    assert len(list(cache.glob("*.lock"))) == KEPT
    shutil.rmtree(cache)
    np.testing.assert_array_equal(mapped.pixels, source.pixels)


def count_decoding(place: str, started: object) -> None:
    """Load one set together with other processes, and note that it was decoded."""
    source = Source()
    started.wait()
    source.load()
    Path(place, f"{os.getpid()}-{source.decoded}").touch()


@pytest.mark.slow
def test_processes_that_start_together_decode_once(cache, tmp_path) -> None:
    context = multiprocessing.get_context("spawn")
    (tmp_path / "notes").mkdir()
    started = context.Barrier(3)
    processes = [context.Process(target=count_decoding, args=(str(tmp_path / "notes"), started)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 3
    notes = [path.name.rpartition("-")[2] for path in (tmp_path / "notes").iterdir()]
    assert sorted(notes) == ["0", "0", "1"]
    assert len(entries(cache)) == 1


def test_a_folder_is_not_decoded_twice(cache, pets, monkeypatch) -> None:
    first = load_image_set(str(pets))
    monkeypatch.setattr(telltale.data.sources, "decode", None)
    second = load_image_set(str(pets), download=False)
    np.testing.assert_array_equal(first.pixels, second.pixels)
    np.testing.assert_array_equal(first.pixels[:, 0], [noise(5, 6, seed=i) for i in range(4)])
    assert (second.name, second.class_names, second.fingerprint) == ("pets", ("cat", "dog"), first.fingerprint)


def rewrite(folder: Path) -> None:
    """Replace a picture by one whose file has the same size and time stamp."""
    file = folder / "dog" / "3.png"
    before, size = file.stat(), file.stat().st_size
    for seed in range(10, 1000):
        Image.fromarray(noise(5, 6, seed=seed)).save(file)
        if file.stat().st_size == size:
            break
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize(
    "change",
    [
        rewrite,
        lambda folder: (folder / "cat" / "2.png").rename(folder / "dog" / "2.png"),
        lambda folder: (folder / "cat" / "0.png").unlink(),
        lambda folder: Image.fromarray(noise(5, 6, seed=8)).save(folder / "dog" / "9.png"),
    ],
    ids=["rewritten", "moved", "removed", "added"],
)
def test_a_changed_folder_is_decoded_anew(cache, pets, change) -> None:
    before = load_image_set(str(pets))
    change(pets)
    after = load_image_set(str(pets))
    assert after.fingerprint != before.fingerprint
    pictures = [np.asarray(Image.open(path)) for path in sorted(pets.rglob("*.png"))]
    np.testing.assert_array_equal(after.pixels[:, 0], pictures)


def test_a_folder_leaves_no_copy_in_the_library_that_decodes(cache, pets, tmp_path, monkeypatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "datasets"))
    load_image_set(str(pets))
    assert not (tmp_path / "datasets").exists()


def test_a_folder_in_the_cache_opens_without_the_library_that_decodes(cache, pets) -> None:
    load_image_set(str(pets))
    code = RUNS + "assert len(s) == 4; assert not {'datasets', 'torch', 'sklearn'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code, str(pets)], check=True, cwd=ROOT)


def test_where_the_cache_lies(tmp_path) -> None:
    code = "from telltale.base.places import cache_folder; print(cache_folder())"
    rest = {key: value for key, value in os.environ.items() if key not in ("TELLTALE_CACHE", "XDG_CACHE_HOME")}
    home = {**rest, "HOME": str(tmp_path)}
    for environment, expected in (
        (home, tmp_path / ".cache" / "telltale"),
        ({**home, "XDG_CACHE_HOME": "/xdg"}, Path("/xdg/telltale")),
        ({**home, "XDG_CACHE_HOME": "/xdg", "TELLTALE_CACHE": "~/mine"}, tmp_path / "mine"),
    ):
        ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
        assert ran.stdout.strip() == str(expected)


def test_what_is_refused_is_refused_again(cache, tmp_path) -> None:
    (tmp_path / "empty").mkdir()
    for _ in range(2):
        with pytest.raises(InputError, match="no readable data set"):
            load_image_set(str(tmp_path / "empty"))
