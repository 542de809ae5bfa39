"""Kept pictures: found by what they hold, whole or not at all, never more than the bounds, the last used ones."""

from __future__ import annotations

import contextlib
import hashlib
import multiprocessing
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from telltale.base.errors import InputError, StorageError
from telltale.base.files import PARTIAL_SUFFIX
from telltale.base.images import to_floats
from telltale.cases.picture_store import ABANDONED_SECONDS, Bounds, GonePictureError, PictureStore, picture_store


def picture(seed: int, shape: tuple[int, int, int] = (3, 20, 30)) -> npt.NDArray[np.float32]:
    return to_floats(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


def age(store: PictureStore, digest: str, seconds: float) -> None:
    """Let a picture not have been used for some time."""
    file = store.folder / f"{digest}.png"
    then = file.stat().st_mtime - seconds
    os.utime(file, (then, then))


@pytest.mark.parametrize("shape", [(3, 224, 224), (1, 5, 9)])
def test_every_pixel_comes_back_under_the_sha_256_of_shape_and_pixels(
    tmp_path: Path, shape: tuple[int, int, int]
) -> None:
    image = picture(1, shape)
    pixels = np.rint(image * 255).astype(np.uint8)
    digest = PictureStore(tmp_path / "new").keep(image)
    assert digest == hashlib.sha256(repr(shape).encode() + pixels.tobytes()).hexdigest()
    again = PictureStore(tmp_path / "new").read(digest)  # as another process would, or this one started again
    assert again.dtype == np.float32 and np.array_equal(again, image)
    seen = np.asarray(Image.open(tmp_path / "new" / f"{digest}.png"))
    assert np.array_equal(seen if shape[0] == 1 else np.moveaxis(seen, -1, 0), pixels[0] if shape[0] == 1 else pixels)


def test_the_same_picture_is_kept_once(tmp_path: Path) -> None:
    store = PictureStore(tmp_path)
    assert store.keep(picture(1)) == store.keep(picture(1))
    assert len(list(tmp_path.glob("*.png"))) == 1


def test_more_pictures_than_allowed_push_out_those_not_used_longest(tmp_path: Path) -> None:
    store = PictureStore(tmp_path, Bounds(pictures=3))
    first, second, third = (store.keep(picture(seed)) for seed in range(3))
    for digest, seconds in ((first, 30), (second, 20), (third, 10)):
        age(store, digest, seconds)
    store.read(first)  # used again: the second one is now the oldest
    fourth = store.keep(picture(3))
    assert {file.stem for file in tmp_path.glob("*.png")} == {first, third, fourth}
    with pytest.raises(GonePictureError, match=r"no longer on this server.* at most 3 and 256 MB"):
        store.read(second)


def test_keeping_a_picture_again_counts_as_use(tmp_path: Path) -> None:
    store = PictureStore(tmp_path, Bounds(pictures=2))
    first, second = store.keep(picture(0)), store.keep(picture(1))
    age(store, first, 20)
    age(store, second, 10)
    store.keep(picture(0))
    store.keep(picture(2))
    assert store.read(first).shape == (3, 20, 30)
    with pytest.raises(GonePictureError):
        store.read(second)


def test_all_files_together_stay_within_the_bytes(tmp_path: Path) -> None:
    one = PictureStore(tmp_path / "one")
    size = (one.folder / f"{one.keep(picture(0))}.png").stat().st_size
    store = PictureStore(tmp_path / "several", Bounds(bytes=3 * size + size // 2))
    for seed in range(8):
        digest = store.keep(picture(seed))
        kept = list(store.folder.glob("*.png"))
        assert sum(file.stat().st_size for file in kept) <= store.bounds.bytes
        assert store.read(digest).shape == (3, 20, 30)
    assert len(kept) == 3


def test_a_picture_larger_than_the_store_is_refused_and_pushes_nothing_out(tmp_path: Path) -> None:
    store = PictureStore(tmp_path, Bounds(bytes=5000))
    small = store.keep(picture(0))
    with pytest.raises(InputError, match=r"300 × 200 pixels .* is too large to be kept"):
        store.keep(picture(1, (3, 200, 300)))
    assert [file.stem for file in tmp_path.glob("*.png")] == [small]


def test_more_than_a_megapixel_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="1 megapixel"):
        PictureStore(tmp_path).keep(np.zeros((1, 1001, 1000), dtype=np.float32))


@pytest.mark.parametrize("damage", ["torn", "other", "empty"])
def test_a_damaged_file_is_never_taken_for_the_picture_and_mended_by_keeping_it_again(
    tmp_path: Path, damage: str
) -> None:
    store = PictureStore(tmp_path)
    digest, other = store.keep(picture(1)), store.keep(picture(2))
    file = tmp_path / f"{digest}.png"
    whole = file.read_bytes()
    file.write_bytes({"torn": whole[:-40], "other": (tmp_path / f"{other}.png").read_bytes(), "empty": b""}[damage])
    with pytest.raises(GonePictureError):
        store.read(digest)
    assert store.keep(picture(1)) == digest
    assert np.array_equal(store.read(digest), picture(1))


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "A" * 64, "0" * 63, "0" * 65, "0" * 64 + "\n"])
def test_a_name_that_is_no_digest_leads_nowhere(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{'A' * 64}.png").write_bytes(b"")
    with pytest.raises(GonePictureError):
        PictureStore(tmp_path).read(name)


def test_a_write_that_fails_leaves_nothing_and_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[:10])
        raise OSError(28, "No space left on device")

    store = PictureStore(tmp_path)
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StorageError, match=r"cannot be kept in .*No space left on device"):
        store.keep(picture(1))
    assert [file.name for file in tmp_path.iterdir()] == [".lock"]


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="TELLTALE_PICTURES"):
        PictureStore(tmp_path / "file" / "pictures").keep(picture(1))


def test_what_an_ended_process_left_half_done_goes(tmp_path: Path) -> None:
    store = PictureStore(tmp_path)
    old, new = (tmp_path / f".{name}.png-1{PARTIAL_SUFFIX}" for name in ("old", "new"))
    for partial in (old, new):
        partial.write_bytes(b"half")
    then = new.stat().st_mtime - 2 * ABANDONED_SECONDS
    os.utime(old, (then, then))
    store.keep(picture(1))
    assert not old.exists() and new.exists()


def keep_many(folder: Path, start: int) -> None:
    store = PictureStore(folder, Bounds(pictures=5))
    for seed in range(start, start + 20):
        image = picture(seed % 12)
        digest = store.keep(image)
        with contextlib.suppress(GonePictureError):  # five others may have come in between
            assert np.array_equal(store.read(digest), image)


def test_threads_and_processes_share_it(tmp_path: Path) -> None:
    others = [multiprocessing.get_context("spawn").Process(target=keep_many, args=(tmp_path, n)) for n in (0, 7)]
    for other in others:
        other.start()
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda start: keep_many(tmp_path, start), range(4))) == [None] * 4
    for other in others:
        other.join()
        assert other.exitcode == 0
    store = PictureStore(tmp_path)
    kept = list(tmp_path.glob("*.png"))
    assert len(kept) == 5
    assert all(store.read(file.stem).shape == (3, 20, 30) for file in kept)


def test_the_environment_says_where_and_how_much(tmp_path: Path) -> None:
    assert picture_store({"XDG_DATA_HOME": str(tmp_path)}).folder == tmp_path / "telltale" / "pictures"
    chosen = picture_store({"TELLTALE_PICTURES": str(tmp_path), "TELLTALE_PICTURES_MB": "3"})
    assert chosen.folder == tmp_path and chosen.bounds.bytes == 3 * 2**20
    for wrong in ("0", "-1", "much", "1.5"):
        with pytest.raises(InputError, match="TELLTALE_PICTURES_MB must be a whole number of at least 1"):
            picture_store({"TELLTALE_PICTURES_MB": wrong})


def test_a_read_only_server_keeps_pictures_for_itself_alone_and_no_longer_than_it_runs(tmp_path: Path) -> None:
    code = (
        "import numpy as np; from telltale.cases.picture_store import picture_store; store = picture_store(); "
        "image = np.zeros((1, 4, 4), np.float32); digest = store.keep(image); "
        "assert (picture_store().read(digest) == image).all(); print(store.folder, store.bounds.bytes)"
    )
    environment = {
        **os.environ,
        "TELLTALE_READ_ONLY": "on",
        "TELLTALE_PICTURES": str(tmp_path / "kept"),
        "TELLTALE_PICTURES_MB": "3",
    }
    told = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    folder, size = told.stdout.split()
    assert not Path(folder).exists() and not (tmp_path / "kept").exists()
    assert int(size) == 3 * 2**20


def test_nobody_else_can_look_at_what_people_uploaded(tmp_path: Path) -> None:
    store = PictureStore(tmp_path / "pictures")
    store.keep(picture(1))
    assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700
