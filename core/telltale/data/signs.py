"""The drawn road signs as an image set: nothing of it is downloaded, and no picture is drawn before it is needed."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from telltale.base.places import cache_folder
from telltale.base.processes import Processes, Work
from telltale.base.progress import Progress
from telltale.data.image_set import ImageSet
from telltale.data.listing import Listed, Listing
from telltale.data.uploads import png_bytes
from telltale.signs import drawn
from telltale.signs.drawn import DrawnPictures
from telltale.signs.kinds import NAMES
from telltale.signs.picture import render

# `ImageSet.fingerprint` of all pictures, so that they need not be drawn before a bundle knows them; a test draws them.
FINGERPRINT = "deb4e8a33af390323d4b3858c91b8ed692c2b42a72733bdbaf7c676980057f5d"
AT_ONCE = 250  # pictures of one job: some seconds


def look() -> ImageSet:
    """Return the signs, shape (12000, 3, 48, 48); a picture is drawn when it is first asked for."""
    return _image_set(DrawnPictures(_folder()))


def load(progress: Progress) -> ImageSet:
    """Return the signs after drawing, on all cores, what was not drawn before.

    Parameters
    ----------
    progress : callable
        Told the done share and what is being done; may raise to stop.
    """
    pictures = DrawnPictures(_folder())
    missing = pictures.missing()
    if missing:
        _draw(pictures, missing, progress)
    return _image_set(pictures)


def _image_set(pictures: DrawnPictures) -> ImageSet:
    return ImageSet(
        "signs",
        pictures,
        drawn.labels(),
        NAMES,
        own_test=drawn.count_of("test"),
        known_fingerprint=FINGERPRINT,
        own_validation=drawn.count_of("validation"),
    )


def state() -> list[str]:
    """Return what tells the signs from any other image set."""
    return ["signs", FINGERPRINT]


def listing() -> Listing:
    """List the signs as a folder's pictures are listed."""
    signs = look()
    listed = [
        Listed(f"sign {number}", split, NAMES[signs.labels[number]], partial(_png, signs, number))
        for split, numbers in signs.own_splits.items()
        for number in numbers
    ]
    return Listing("signs", "signs", listed, len(listed), NAMES, named=False)


def _png(signs: ImageSet, number: int) -> bytes:
    return png_bytes(signs.images([number])[0])


def _folder() -> Path | None:
    try:
        return cache_folder() / "drawn"
    except RuntimeError:  # nobody's home
        return None


@dataclass(frozen=True)
class _Part:
    """Pictures that one process draws into a file."""

    file: Path
    numbers: tuple[int, ...]

    def files_read(self) -> tuple[Path, ...]:
        """Return no file: pictures are made of numbers alone."""
        return ()


def _draw(pictures: DrawnPictures, numbers: list[int], progress: Progress) -> None:
    with tempfile.TemporaryDirectory(prefix="telltale-signs-") as scratch, Processes() as processes:
        parts = [
            _Part(Path(scratch) / f"{start}.npy", tuple(numbers[start : start + AT_ONCE]))
            for start in range(0, len(numbers), AT_ONCE)
        ]

        def done(count: int, part: _Part) -> None:
            pictures.keep(part.numbers, np.load(part.file, allow_pickle=False))
            part.file.unlink()
            drawn_now = min(count * AT_ONCE, len(numbers))
            progress(count / len(parts), f"Drawing signs, {drawn_now:,} of {len(numbers):,} images")

        processes.run(Work(_draw_part, parts, done))


def _draw_part(part: _Part) -> None:
    np.save(part.file, np.stack([render(drawn.SEED, *drawn.place_of(number)) for number in part.numbers]))
