"""A copy of a bundle's images with the corrections applied: one folder per class, as every training program reads it.

``train/CLASS/ID.png`` holds everything that the bundle does not hold out, without the removed images and with the
relabelled ones under their new class; ``validation`` and ``test`` hold what it does hold out, as it is. Where pictures
were brought to the network's size, their own files are copied: whoever trains on them brings them to size again.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from telltale.base.errors import InputError
from telltale.base.files import whole_folder
from telltale.base.progress import Progress, silent
from telltale.bundle.own_data import SIZING
from telltale.data.image_set import LeftOut
from telltale.data.sources import list_images
from telltale.data.uploads import png_bytes
from telltale.model_errors.corrections import REMOVED, Correction, as_arrays

if TYPE_CHECKING:
    from telltale.bundle.bundle import Bundle

Ids = npt.NDArray[np.int64]

TOLD_EVERY = 100
ZIP_TIME = (1980, 1, 1, 0, 0, 0)  # equal corrections give equal bytes


def layout(bundle: Bundle, corrections: Sequence[Correction]) -> Iterator[tuple[str, int]]:
    """Yield every file of the copy, with slashes, and the id of the image in it.

    Raises
    ------
    InputError
        If the images are not on this machine.
    """
    images, splits = bundle.require_images(), bundle.splits
    labels = images.labels.copy()
    ids, new_labels = as_arrays(corrections)
    labels[ids] = new_labels
    names = folder_names(bundle.class_names)
    validation = np.union1d(splits.fit, splits.calibration)
    parts = {"validation": validation, "test": splits.test}
    # Validation and test images of the data's own that were not drawn for this bundle belong to no part.
    learned = np.setdiff1d(np.arange(len(images) - sum(images.own_held_out)), np.union1d(validation, splits.test))
    suffixes = _suffixes(bundle)
    for part, members in {"train": learned, **parts}.items():
        for image_id in members:
            if labels[image_id] != REMOVED:
                yield f"{part}/{names[labels[image_id]]}/{image_id}{suffixes[image_id]}", int(image_id)


def folder_names(class_names: Sequence[str]) -> tuple[str, ...]:
    """Return a name for every class's folder that any file system takes, no two of them alike."""
    taken: set[str] = set()
    names = []
    for label, name in enumerate(class_names):
        plain = re.sub(r"[^\w .+()-]", "_", name).strip(" .") or f"class {label}"
        if plain.lower() in taken:
            plain = f"{plain} {label}"
        taken.add(plain.lower())
        names.append(plain)
    return tuple(names)


def write_folders(bundle: Bundle, corrections: Sequence[Correction], out: Path, progress: Progress = silent) -> int:
    """Write the copy as a folder that appears whole or not at all; return how many images it holds.

    Parameters
    ----------
    bundle : Bundle
    corrections : sequence of Correction
    out : Path
        A folder that is not there yet.
    progress : callable
        Told the done share and what is being done; may raise to stop.

    Raises
    ------
    InputError
        If the images are not on this machine, or the folder is there or cannot be written.
    """
    files = list(layout(bundle, corrections))
    if out.exists():
        raise InputError(f"'{out}' is there already; name a folder that is not.")
    try:
        with whole_folder(out) as partial:
            for done, (file, data) in enumerate(_pictures(bundle, files)):
                if done % TOLD_EVERY == 0:
                    progress(done / len(files), f"writing image {done + 1:,} of {len(files):,}")
                place = partial / file
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(data)
    except OSError as error:
        raise InputError(f"The folder '{out}' cannot be written: {error.strerror}.") from error
    return len(files)


def write_zip(bundle: Bundle, corrections: Sequence[Correction], file: IO[bytes]) -> None:
    """Write the copy into a zip; equal corrections give equal bytes.

    Raises
    ------
    InputError
        If the images are not on this machine.
    """
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:  # PNG is compressed already
        for name, data in _pictures(bundle, layout(bundle, corrections)):
            archive.writestr(zipfile.ZipInfo(name, ZIP_TIME), data)


def _pictures(bundle: Bundle, files: Iterable[tuple[str, int]]) -> Iterator[tuple[str, bytes]]:
    images = bundle.require_images()
    if not _copies_files(bundle):
        for name, image_id in files:
            yield name, png_bytes(images.images([image_id])[0])
        return
    listed = list_images(bundle.manifest.data.source).images
    own = {found.name: found.read for found in listed if not isinstance(found, LeftOut)}
    for name, image_id in files:
        if images.names[image_id] not in own:
            raise InputError(f"The picture '{images.names[image_id]}' is no longer in '{bundle.manifest.data.source}'.")
        yield name, own[images.names[image_id]]()


def _copies_files(bundle: Bundle) -> bool:
    """Whether pictures were brought to the network's size, and lie in files of their own."""
    return SIZING in bundle.manifest.notes and bool(bundle.require_images().names)


def _suffixes(bundle: Bundle) -> Sequence[str]:
    images = bundle.require_images()
    if not _copies_files(bundle):
        return [".png"] * len(images)
    return [Path(name).suffix.lower() for name in images.names]
