"""A case from a stranger's zip: nothing is unpacked to disk, nothing in it is run, it is taken whole or not at all."""

from __future__ import annotations

import io
import zipfile

from telltale.base.errors import InputError
from telltale.cases.exporting import ATTACKED, NAMES, NATURAL, RECORD
from telltale.cases.making import checked
from telltale.cases.pixels import MOST_PNG_BYTES, read_strangers_png
from telltale.cases.reading import read_record
from telltale.cases.record import SavedCase
from telltale.data.uploads import png_bytes

MOST_BYTES = 8 * 2**20
MOST_RECORD_BYTES = 2**20
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def from_zip(data: bytes) -> SavedCase:
    """Return the case that a zip of `telltale.cases.exporting.to_zip` holds.

    Its table and its script are not read: both are made anew from the case.

    Parameters
    ----------
    data : bytes
        Never trusted.

    Raises
    ------
    InputError
        If it is too large, no zip, holds other files than a case has, a file that unpacks to too much, a malformed
        record, or a picture that is not the one its numbers are of.
    """
    if len(data) > MOST_BYTES:
        raise InputError(f"The zip has {len(data) / 2**20:.1f} MB; a case has at most {MOST_BYTES // 2**20} MB.")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = _entries(archive)
            record = read_record(_unpack(archive, entries, RECORD, MOST_RECORD_BYTES))
            natural = _unpack(archive, entries, NATURAL, MOST_PNG_BYTES)
            attacked = _unpack(archive, entries, ATTACKED, MOST_PNG_BYTES) if ATTACKED in entries else None
    except InputError:
        raise
    except Exception as error:  # readers of damaged archives raise almost anything
        raise InputError("This file is no readable zip of a case.") from error
    return checked(SavedCase(record, _rewritten(natural), None if attacked is None else _rewritten(attacked)))


def _rewritten(picture: bytes) -> bytes:
    """Return a stranger's PNG written by us: nothing else of it is ever decoded in this process."""
    return png_bytes(read_strangers_png(picture))


def _entries(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    listed = archive.infolist()
    if len(listed) > len(NAMES):
        raise InputError(f"The zip holds {len(listed):,} files; a case has at most {len(NAMES)}.")
    entries = {info.filename: info for info in listed}
    strange = [name for name in entries if name not in NAMES]
    if strange:
        raise InputError(f"The zip holds {strange[0][:60]!r}, which is no part of a case.")
    if len(entries) < len(listed):
        raise InputError("The zip holds a file twice.")
    if any(info.compress_type not in _METHODS or info.flag_bits & 1 for info in listed):
        raise InputError("The zip is encrypted or packed in a way that cases are not.")
    return entries


def _unpack(archive: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo], name: str, most: int) -> bytes:
    """Unpack one file, and no more of it than allowed, whatever size it claims to have."""
    if name not in entries:
        raise InputError(f"The zip lacks '{name}', so it is no case.")
    with archive.open(entries[name]) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise InputError(f"'{name}' unpacks to more than {most // 2**20} MB, which no case needs.")
    return data
