"""Pictures that are drawn when they are asked for: those of `render`, kept once, never taken from a torn file."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from telltale.signs import drawn
from telltale.signs.drawn import DrawnPictures, count_of, labels, place_of
from telltale.signs.kinds import KINDS
from telltale.signs.picture import kind_of, render

SOME = [7999, 0, 8000, 11999]


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, str, int]]:
    asked: list[tuple[int, str, int]] = []

    def counting(seed: int, split: str, index: int) -> np.ndarray:
        asked.append((seed, split, index))
        return render(seed, split, index)

    monkeypatch.setattr(drawn, "render", counting)
    return asked


def test_splits_follow_one_another() -> None:
    assert [count_of(split) for split in ("train", "validation", "test")] == [8000, 2000, 2000]
    assert [place_of(number) for number in (0, 7999, 8000, 9999, 10000, 11999)] == [
        ("train", 0), ("train", 7999), ("validation", 0), ("validation", 1999), ("test", 0), ("test", 1999)
    ]  # fmt: skip
    with pytest.raises(IndexError):
        place_of(12000)
    assert len(labels()) == 12000
    assert all(labels()[number] == kind_of(place_of(number)[1]) for number in range(0, 12000, 7))
    assert set(labels()) == set(range(len(KINDS)))


def test_rows_are_the_pictures_that_render_draws(tmp_path: Path) -> None:
    pictures = DrawnPictures(tmp_path)
    assert pictures.shape == (12000, 3, 48, 48) and len(pictures) == 12000
    found = pictures[np.array(SOME)]
    assert found.dtype == np.uint8
    assert all(np.array_equal(found[at], render(0, *place_of(number))) for at, number in enumerate(SOME))
    assert np.array_equal(pictures[7999], found[0])
    assert np.array_equal(pictures[11999:], found[3:])
    assert pictures[np.empty(0, np.int64)].shape == (0, 3, 48, 48)
    with pytest.raises(IndexError):
        pictures[12000]


def test_a_picture_is_drawn_once_by_whoever_asks_first(tmp_path: Path, counted: list) -> None:
    first = DrawnPictures(tmp_path)[SOME]
    assert len(counted) == 4
    again = DrawnPictures(tmp_path)
    assert np.array_equal(again[SOME], first) and len(counted) == 4
    assert len(again.missing()) == 11996


def test_what_was_torn_or_changed_is_drawn_again(tmp_path: Path, counted: list) -> None:
    whole = DrawnPictures(tmp_path)[[0, 1, 2]]
    (file,) = tmp_path.iterdir()
    with file.open("r+b") as written:
        written.seek(100)
        written.write(b"\xff" if whole[0].tobytes()[96] != 255 else b"\x00")
        row = 4 + 3 * 48 * 48
        written.seek(0)
        first = written.read(row)
        written.seek(row)
        written.write(first)  # a whole picture, in another's place
        written.truncate(3 * row - 5)
    counted.clear()
    assert np.array_equal(DrawnPictures(tmp_path)[[0, 1, 2]], whole)
    assert [asked[2] for asked in counted] == [0, 1, 2]


@pytest.mark.parametrize("place", ["none", "a file", "full"])
def test_without_a_place_to_keep_them_they_are_drawn_all_the_same(tmp_path: Path, place: str, monkeypatch) -> None:
    folder = None if place == "none" else tmp_path / "folder"
    if place == "a file":
        (tmp_path / "folder").write_text("in the way")
    if place == "full":

        def full(*_: object) -> int:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "pwrite", full)
    pictures = DrawnPictures(folder)
    assert np.array_equal(pictures[5], render(0, "train", 5))
    assert len(pictures.missing()) == 12000
    pictures.keep([5, 7], np.stack([render(0, "train", 5), render(0, "train", 7)]))
    assert len(pictures.missing()) == 11998  # held in memory: what all cores have drawn is not drawn again
    monkeypatch.setattr(drawn, "render", None)
    assert pictures[[5, 7]].shape == (2, 3, 48, 48)


def test_pictures_that_others_have_kept_are_read_where_nothing_can_be_written(tmp_path: Path, monkeypatch) -> None:
    whole = DrawnPictures(tmp_path)[[3, 4]]
    opened = os.open
    monkeypatch.setattr(os, "open", lambda file, flags, *mode: _only_to_read(opened, file, flags, *mode))
    monkeypatch.setattr(drawn, "render", None)
    assert np.array_equal(DrawnPictures(tmp_path)[[3, 4]], whole)


def _only_to_read(opened, file: Path, flags: int, *mode: int) -> int:
    if flags & os.O_RDWR:
        raise OSError(30, "Read-only file system")
    return int(opened(file, flags, *mode))


def test_pictures_that_others_drew_are_kept(tmp_path: Path, counted: list) -> None:
    pictures = DrawnPictures(tmp_path)
    pictures.keep([3, 9000], np.stack([render(0, *place_of(3)), render(0, *place_of(9000))]))
    assert np.array_equal(pictures[9000], render(0, "validation", 1000)) and counted == []
    assert not {3, 9000} & set(pictures.missing())
