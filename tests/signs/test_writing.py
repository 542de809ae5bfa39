"""A set on disk: what lies where, as it was drawn, whole or not at all; and the command that writes it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from telltale.base.errors import InputError
from telltale.cli import main
from telltale.data.checking import check
from telltale.data.sources import list_images
from telltale.signs import writing
from telltale.signs.kinds import NAMES
from telltale.signs.picture import render
from telltale.signs.writing import LEAST_IMAGES, Part, draw_part, write_set


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> writing.WrittenSet:
    return write_set(tmp_path_factory.mktemp("signs") / "set", 3, LEAST_IMAGES)


def test_every_picture_lies_in_its_class_as_it_was_drawn(written) -> None:
    assert (written.train, written.validation, written.test) == (88, 22, 22)
    files = sorted(file.relative_to(written.folder).as_posix() for file in written.folder.rglob("*.*"))
    counts = {"train": 88, "validation": 22, "test": 22}
    wanted = [(split, index) for split, count in counts.items() for index in range(count)]
    assert files == sorted(f"{split}/{NAMES[index % 22]}/{index:05d}.png" for split, index in wanted)
    digest = hashlib.sha256()
    for split, index in wanted:
        drawn = render(3, split, index)
        digest.update(drawn.tobytes())
        with Image.open(written.folder / split / NAMES[index % 22] / f"{index:05d}.png") as picture:
            assert picture.mode == "RGB"
            assert np.array_equal(np.moveaxis(np.asarray(picture), -1, 0), drawn)
    assert written.pixels_sha256 == digest.hexdigest()


def test_the_data_room_reads_all_of_it_and_finds_nothing_twice(written) -> None:
    found = check(list_images(str(written.folder)))
    assert found.images == 132 and found.class_names == tuple(sorted(NAMES))
    assert all(counts == {"train": 4, "validation": 1, "test": 1} for counts in found.counts.values())
    assert found.sizes == {(48, 48): 132} and found.grey == 0
    assert not (found.across or found.conflicting or found.repeated or found.left_out)


def test_parts_draw_what_the_whole_does_however_it_is_cut(written, tmp_path) -> None:
    for start, stop in ((60, 88), (0, 1), (1, 60)):
        draw_part(Part(tmp_path, 3, "train", start, stop))
    files = sorted(tmp_path.rglob("*.png"))
    assert len(files) == 88
    for file in files:
        assert file.read_bytes() == (written.folder / file.relative_to(tmp_path)).read_bytes()
    assert Part(tmp_path, 3, "train", 0, 1).files_read() == ()


def test_more_images_go_on_where_fewer_end(monkeypatch, tmp_path) -> None:
    drawn: list[Part] = []
    monkeypatch.setattr(writing, "Processes", in_order(drawn))
    write_set(tmp_path / "set", 0, 1200)
    assert [(part.split, part.start, part.stop) for part in drawn] == [
        *(("train", start, min(start + 250, 1200)) for start in range(0, 1200, 250)),
        *((split, start, min(start + 250, 300)) for split in ("validation", "test") for start in range(0, 300, 250)),
    ]


def in_order(drawn: list[Part], error: Exception | None = None):
    class InOrder:
        def __enter__(self) -> InOrder:
            return self

        def __exit__(self, *_) -> None:
            pass

        def run(self, work) -> None:
            for count, part in enumerate(work.jobs, 1):
                if error is not None:
                    raise error
                drawn.append(part)
                work.done(count, part)

    return InOrder


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=["full", "stopped"]
)
def test_what_was_not_finished_leaves_nothing(monkeypatch, tmp_path, error) -> None:
    monkeypatch.setattr(writing, "Processes", in_order([], error))
    expected = InputError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected, match="cannot be written: No space left" if expected is InputError else None):
        write_set(tmp_path / "set", 0, LEAST_IMAGES)
    assert list(tmp_path.iterdir()) == []


def test_progress_counts_images(monkeypatch, tmp_path) -> None:
    said: list[tuple[float, str]] = []
    monkeypatch.setattr(writing, "Processes", in_order([]))
    (tmp_path / "set").mkdir()  # an empty folder is taken
    write_set(tmp_path / "set", 0, 400, lambda fraction, words: said.append((fraction, words)))
    assert said[0] == (250 / 600, "Drawing signs, 250 of 600 images")
    assert said[-1] == (1.0, "Drawing signs, 600 of 600 images")


def test_a_folder_that_holds_something_is_refused_and_left_alone(tmp_path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    for place in (tmp_path, tmp_path / "mine.txt"):
        with pytest.raises(InputError, match="is there already; name a folder that is empty or not there"):
            write_set(place, 0, LEAST_IMAGES)
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]


def test_wrong_numbers_are_refused_in_a_sentence(tmp_path) -> None:
    with pytest.raises(
        InputError, match=r"images must be at least 88, so that each of the 22 kinds .* Got 87 instead\."
    ):
        write_set(tmp_path / "set", 0, LEAST_IMAGES - 1)
    with pytest.raises(InputError, match=r"seed must be a whole number of at least 0\. Got -1"):
        write_set(tmp_path / "set", -1, LEAST_IMAGES)
    assert list(tmp_path.iterdir()) == []


def test_the_command_says_what_it_wrote(written, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setattr("telltale.cli.render.write_set", lambda *_: written)
    assert main(["render", "signs", "elsewhere", "--seed", "3", "--images", "88"]) == 0
    said = capsys.readouterr().out
    assert f"Wrote 88 training, 22 validation and 22 test images of 22 kinds of sign to {written.folder}." in said
    assert f"not photographed. SHA-256 of all pixels: {written.pixels_sha256}\n" in said
    assert main(["render", "signs", "elsewhere", "--seed", "3", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record == {
        "folder": str(written.folder), "seed": 3, "train": 88, "validation": 22, "test": 22,
        "pixels_sha256": written.pixels_sha256,
    }  # fmt: skip


def test_the_command_hands_on_what_was_typed_and_refuses_with_status_2(tmp_path, capsys, monkeypatch) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    monkeypatch.chdir(tmp_path)
    assert main(["render", "signs", ".", "--images", "88"]) == 2
    assert f"'{Path.cwd()}' is there already" in capsys.readouterr().err
    assert main(["render", "signs", "new", "--seed", "-4"]) == 2
    assert "Got -4 instead" in capsys.readouterr().err
    assert main(["render", "signs", "new", "--images", "few"]) == 2
    assert main(["render", "portraits", "new"]) == 2
    assert not (tmp_path / "new").exists()
